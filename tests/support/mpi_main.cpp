// SPDX-License-Identifier: BSD-3-Clause
// main of the MPI test programs: MPI and Kokkos around GoogleTest; rank 0 prints, the others only what failed there;
// after each test, all ranks have the same verdict.
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include <partita/comm/agreement.hpp>

#include "support/mpi.hpp"

namespace partita::test {

namespace {

comm::Environment* the_environment = nullptr;

/// Failures of a rank other than 0, marked with its number.
class FailurePrinter : public ::testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}

 private:
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const std::string file = result.file_name() == nullptr ? "unknown file" : result.file_name();
    const std::string text = "[rank " + std::to_string(rank_) + "] " + file + ":" +
                             std::to_string(result.line_number()) + ": Failure\n" + result.summary() + "\n";
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  int rank_;
};

/// A test failed when it failed on any rank. Appended last, so its OnTestEnd comes before that of the printers.
class Agreement : public ::testing::EmptyTestEventListener {
 public:
  explicit Agreement(const comm::Communicator& world) : verdicts_(world.duplicate("verdicts")) {}

 private:
  void OnTestEnd(const ::testing::TestInfo& test) override {
    comm::detail::Failure mine;
    if (test.result()->Failed())
      mine = {ExitCode::check_failed,
              std::string(test.test_suite_name()) + "." + test.name() + " failed while other ranks were still in it"};
    // Ends the job when this rank failed and the others hang in the test: better than to wait for the time-out.
    const comm::detail::Verdict verdict = comm::detail::agree(verdicts_.handle(), mine);
    if (verdict.code != ExitCode::done && !mine) ADD_FAILURE() << "failed on rank " << verdict.speaker;
  }

  comm::Communicator verdicts_;
};

}  // namespace

comm::Environment& environment() { return *the_environment; }

}  // namespace partita::test

int main(int argc, char** argv) {
  using namespace partita;
  comm::Environment env(argc, argv);
  test::the_environment = &env;
  return env.guard([&] {
    ::testing::InitGoogleTest(&argc, argv);
    ::testing::TestEventListeners& listeners = ::testing::UnitTest::GetInstance()->listeners();
    if (env.rank() != 0) {
      delete listeners.Release(listeners.default_result_printer());
      listeners.Append(new test::FailurePrinter(env.rank()));
    }
    env.traffic().check_calls(true);
    auto* agreement = new test::Agreement(env.world());
    listeners.Append(agreement);
    const int failed = RUN_ALL_TESTS();
    delete listeners.Release(agreement);  // its communicator must go before MPI does
    return failed == 0 ? ExitCode::done : ExitCode::check_failed;
  });
}
