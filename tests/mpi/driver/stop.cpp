// SPDX-License-Identifier: BSD-3-Clause
// A stop that reaches one rank alone, in steps that are far from a flush and in an evaluation: all ranks leave
// together.
#include <chrono>
#include <cmath>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include <partita/comm/mesh.hpp>
#include <partita/core/clock.hpp>
#include <partita/driver/experiment.hpp>
#include <partita/driver/stop_agreement.hpp>
#include <partita/io/hdf5_file.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include <support/temporary_folder.hpp>

namespace partita::driver::stop_tests {
namespace {

using partita::test::world;
using partita::testing::TemporaryFolder;

constexpr index_t steps = 60000;  // of a millisecond: a minute

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }
bool is_last_rank() { return world().rank() == world().size() - 1; }

struct Toy {
  Toy() {
    run.output = folder / "x.h5";
    run.warmup = 1;
    run.flush_every = steps;
    run.calibration = CalibrationMode::off;
    work.phases = {{"work", metrics::PhaseClass::compute}};
    work.steps = steps;
    work.samples_per_step = 1;
    work.loss_terms = 1;
    work.step = [](index_t, const StepOutput& out, Instruments&) {
      Kokkos::deep_copy(Exec(), out.losses, 1.0);
      nap();
    };
    work.loss = [](std::span<const double> terms) { return terms.front(); };
    work.verify = [](const metrics::RunResults&, std::span<const double>) { return Verification{true, ""}; };
  }

  ExitCode go() {
    char name[] = "toy";
    char* arguments[] = {name, nullptr};
    Session session(partita::test::environment(), 1, arguments, "toy", "a run for tests", false);
    session.start(run);
    const comm::Mesh mesh(world(), {{"data", world().size()}});
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const std::int64_t start = now_ns();
    const ExitCode code = run_experiment(session, mesh, run, Exec(), work);
    took_s = seconds(now_ns() - start);
    ::testing::internal::GetCapturedStdout();
    error = ::testing::internal::GetCapturedStderr();
    return code;
  }

  TemporaryFolder folder;
  RunOptions run;
  Workload work;
  double took_s = 0;
  std::string error;
};

TEST(stop, a_signal_far_from_a_flush_is_seen_by_all_ranks) {
  Toy toy;
  toy.work.step = [step = toy.work.step](index_t s, const StepOutput& out, Instruments& instruments) {
    step(s, out, instruments);
    if (s == 50 && is_last_rank()) std::raise(SIGTERM);
  };
  ASSERT_ALL(world(), toy.go() == ExitCode::incomplete);
  EXPECT_LT(toy.took_s, 10) << "of a minute";
  if (!world().is_root()) return;
  EXPECT_NE(toy.error.find("error: the run ended early: signal SIGTERM"), std::string::npos) << toy.error;
  const io::File file = io::File::open(toy.run.output);
  EXPECT_GT(file.extents("/steps/loss").at(0), 50);
  const auto drift = std::get<std::vector<double>>(file.read("/ranks/clock_drift"));
  for (const double of_rank : drift) EXPECT_FALSE(std::isnan(of_rank));
  EXPECT_LT(file.extents("/steps/loss").at(0), steps / 4);
}

TEST(stop, the_time_limit_is_seen_far_from_a_flush) {
  Toy toy;
  toy.run.time_limit_s = 2;
  ASSERT_ALL(world(), toy.go() == ExitCode::incomplete);
  EXPECT_LT(toy.took_s, 12);
  if (world().is_root()) {
    EXPECT_NE(toy.error.find("run.time_limit_s = 2 s are over"), std::string::npos) << toy.error;
  }
}

TEST(stop, an_evaluation_is_left_by_all_ranks_after_the_same_part) {
  Toy toy;
  toy.work.evaluate_every = 10;
  index_t parts = 0;
  toy.work.evaluate = [&](const Stop& stop) {
    while (!stop()) {
      nap();
      if (++parts == 40 && is_last_rank()) std::raise(SIGTERM);
    }
    return metrics::EvaluationRow{};
  };
  ASSERT_ALL(world(), toy.go() == ExitCode::incomplete);
  EXPECT_TRUE(test::same_on_all_ranks(world(), std::span<const index_t>(&parts, 1)));
  EXPECT_LT(toy.took_s, 10);
  if (!world().is_root()) return;
  const io::File file = io::File::open(toy.run.output);
  EXPECT_EQ(file.extents("/steps/loss"), std::vector<index_t>{10});
  EXPECT_EQ(file.extents("/evaluation/step"), std::vector<index_t>{0}) << "what was cut short does not count";
}

// Steps come until `last`, and then input is late on the last rank: it looks three times in a row, as all do.
struct Starving : Toy {
  explicit Starving(index_t last_, const std::string& end_ = "") : last(last_), end(end_) {
    work.await = [this](index_t s, const Stop& stop, Instruments& instruments) -> std::string {
      instruments.timer.mark(0, Exec());
      if (s < last) return {};
      for (int looks = 0; looks < 10000; ++looks) {
        nap();
        if (looks == 3 && end.empty() && is_last_rank()) std::raise(SIGTERM);
        if (looks == 3 && !end.empty()) return end;
        if (stop()) return {};
      }
      return "nobody stopped";
    };
    work.tables = [] {
      return std::vector<metrics::Table>{
          {.group = "/waited", .columns = {{"looks", {}, std::vector<std::int64_t>{7}, {}}}}};
    };
  }
  index_t last;
  std::string end;
};

TEST(stop, a_signal_while_input_is_awaited_ends_between_two_steps) {
  Starving toy(5);
  ASSERT_ALL(world(), toy.go() == ExitCode::incomplete);
  EXPECT_LT(toy.took_s, 10);
  if (!world().is_root()) return;
  EXPECT_NE(toy.error.find("error: the run ended early: signal SIGTERM"), std::string::npos) << toy.error;
  const io::File file = io::File::open(toy.run.output);
  EXPECT_EQ(file.extents("/steps/loss"), std::vector<index_t>{5}) << "steps before the last flush are there, too";
  EXPECT_TRUE(file.exists("/waited/looks"));
}

TEST(stop, no_more_input_ends_a_run_with_its_reason) {
  for (const index_t last : {0, 1, 7}) {
    Starving toy(last, "the well is dry");
    ASSERT_ALL(world(), toy.go() == ExitCode::incomplete);
    if (!world().is_root()) continue;
    EXPECT_NE(toy.error.find("error: the run ended early: the well is dry"), std::string::npos) << toy.error;
    EXPECT_EQ(io::File::open(toy.run.output).extents("/steps/loss"), std::vector<index_t>{last});
  }
}

TEST(stop, looks_come_each_half_second_or_after_each_pass) {
  const Attendance attendance(partita::test::environment());
  StopAgreement agreement(world(), attendance);
  Looks quick(agreement);
  for (int i = 0; i < 30; ++i) {
    EXPECT_FALSE(quick.after_pass());
    nap();
  }
  EXPECT_GT(quick.next(), 4);
  EXPECT_TRUE(test::same_on_all_ranks(world(), std::span<const index_t>(std::vector<index_t>{quick.next()})));
  Looks slow(agreement);
  for (int i = 0; i < 2; ++i) {
    // One slow rank is enough.
    if (is_last_rank()) std::this_thread::sleep_for(std::chrono::milliseconds(600));
    EXPECT_FALSE(slow.after_pass());
    EXPECT_EQ(slow.next(), 1);
  }
}

}  // namespace
}  // namespace partita::driver::stop_tests
