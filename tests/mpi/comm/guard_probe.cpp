// SPDX-License-Identifier: BSD-3-Clause
// A program that fails in a chosen way, for the tests of Environment::guard (CMakeLists.txt beside it).
#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/environment.hpp>
#include <partita/core/machine.hpp>
#include <partita/core/types.hpp>

using namespace partita;

namespace {

[[noreturn]] void fail(ExitCode code) { rethrow_as(code, "as asked"); }

/// Every rank alike.
const std::map<std::string, void (*)()> together = {
    {"done", [] {}},
    {"run_failed", [] { fail(ExitCode::run_failed); }},
    {"usage", [] { fail(ExitCode::usage); }},
    {"check_failed", [] { fail(ExitCode::check_failed); }},
    {"unfit", [] { fail(ExitCode::unfit); }},
    {"incomplete", [] { fail(ExitCode::incomplete); }},
    {"memory", [] { throw std::bad_alloc(); }},
    {"view", [] { Vector<double> too_large("partita::test::too_large", index_t{1} << 50); }},
    {"standard", [] { throw std::runtime_error("first line\nsecond line"); }},
    {"number", [] { throw 42; }},
};

template <class S>
void run_plan(const comm::Communicator& comm, comm::Allreduce how) {
  comm::AllreducePlan<S>(comm, how, 100).run(Exec{}, Vector<S>("values", 100));
}

/// One rank calls something else than all others.
const std::map<std::string, void (*)(const comm::Communicator&, bool odd)> unlike = {
    {"operation", [](const auto& comm, bool odd) { odd ? comm.barrier() : (void)comm.allreduce(1, comm::Op::max); }},
    {"reduction", [](const auto& comm, bool odd) { comm.allreduce(1, odd ? comm::Op::min : comm::Op::max); }},
    {"extent",
     [](const auto& comm, bool odd) {
       std::vector<int> values(odd ? 3 : 2);
       comm.allreduce(std::span(values), comm::Op::sum);
     }},
    {"root",
     [](const auto& comm, bool odd) {
       int value = 0;
       comm.broadcast(value, odd ? 1 : 0);
     }},
    {"algorithm",
     [](const auto& comm, bool odd) { run_plan<float>(comm, odd ? comm::Allreduce::ring : comm::Allreduce::mpi); }},
    {"precision",
     [](const auto& comm, bool odd) {
       odd ? run_plan<double>(comm, comm::Allreduce::ring) : run_plan<float>(comm, comm::Allreduce::ring);
     }},
    {"order",
     [](const auto& comm, bool odd) {
       comm::AllreducePlan<float> one(comm, comm::Allreduce::ring, 1), two(comm, comm::Allreduce::ring, 2);
       const Vector<float> a("a", 1), b("b", 2);
       odd ? two.start(Exec{}, b) : one.start(Exec{}, a);
       odd ? one.start(Exec{}, a) : two.start(Exec{}, b);
       one.finish();
       two.finish();
     }},
};

ExitCode run(comm::Environment& env, const std::string& how) {
  if (const auto found = together.find(how); found != together.end()) {
    found->second();
    return ExitCode::done;
  }
  const comm::Communicator& world = env.world();
  if (const auto found = unlike.find(how); found != unlike.end()) {
    env.traffic().check_calls(true);
    world.barrier();
    found->second(world, env.rank() == env.size() - 1);
    return ExitCode::done;
  }
  const int rank = env.rank();
  const bool last = rank == env.size() - 1;
  const std::string name = "of rank " + std::to_string(rank);
  const auto sleep_ms = [](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };

  // Everybody comes to agree.
  if (how == "on_root") world.on_root([] { fail(ExitCode::usage); });
  if (how == "alone" && last) fail(ExitCode::check_failed);
  if (how == "late" && last) sleep_ms(300), fail(ExitCode::usage);
  if (how == "each_its_own") rethrow_as(rank == 0 ? ExitCode::usage : ExitCode::unfit, name);
  if (how == "alike_but_late") sleep_ms(rank == 0 ? 400 : 0), fail(ExitCode::usage);
  if (how == "returned") return last ? ExitCode::incomplete : ExitCode::done;
  if (how == "returned_and_thrown") return rank == 0 ? ExitCode::incomplete : throw CheckError("as asked");

  if (how == "threads") {
    // Ranks that are no more than the cores they may use leave no core without a rank and none with two threads.
    const int threads = world.allreduce(HostExec().concurrency(), comm::Op::sum);
    const int cores = static_cast<int>(cpu_mask().size());
    if (threads > std::max(cores, env.size()) || threads + env.size() <= cores)
      throw CheckError(std::to_string(threads) + " threads on " + std::to_string(cores) + " cores");
  }

  // Others never come: the job must end all the same.
  if (how == "barrier") last ? fail(ExitCode::incomplete) : world.barrier();
  if (how == "busy") last ? fail(ExitCode::run_failed) : sleep_ms(60'000);
  if (how == "two_and_barrier") rank == 1 || rank == 2 ? throw Error(name) : world.barrier();
  if (how == "higher_first") sleep_ms(rank == 1 ? 400 : 0), rank > 0 ? throw Error(name) : world.barrier();
  if (how == "watchdog") last ? env.abort(ExitCode::incomplete, "as asked") : world.barrier();
  if (how == "watchdogs") env.abort(ExitCode::incomplete, "as asked");
  return ExitCode::done;
}

}  // namespace

/// Where sanitizers watch, an allocation that is too large fails like anywhere else.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "done";
  if (how == "outside") {
    try {
      comm::Environment env(argc, argv);
      if (env.rank() == 0) throw std::runtime_error("nobody guards this");
      env.world().barrier();
    } catch (...) {
    }
    return 0;
  }
  comm::Environment env(argc, argv);
  return env.guard([&] {
    std::string arguments = "arguments:";
    for (int i = 1; i < argc; ++i) arguments += std::string(" ") + argv[i];
    if (env.rank() == 0) std::cout << arguments << "\n";
    return run(env, how);
  });
}
