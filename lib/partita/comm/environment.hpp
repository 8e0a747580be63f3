// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <partita/comm/communicator.hpp>
#include <partita/comm/failure.hpp>
#include <partita/comm/traffic.hpp>
#include <partita/comm/watch_line.hpp>

namespace partita::comm {

/// MPI, then Kokkos; undone in reverse order. One per process, the first object of main, and the owner of the world.
class Environment {
 public:
  /// MPI_Init_thread (asks for MULTIPLE, takes what it gets), then Kokkos::initialize. Arguments of Kokkos leave argv.
  /// Where neither OMP_NUM_THREADS nor Kokkos's own settings say how many threads a rank has, the ranks of a node share
  /// its cores.
  /// Never throws: when the machine is unfit, guard() reports it.
  Environment(int& argc, char**& argv);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  int rank() const { return world_->rank(); }
  int size() const { return world_->size(); }
  const Communicator& world() const { return *world_; }

  Traffic& traffic() { return *traffic_; }
  const Traffic& traffic() const { return *traffic_; }
  /// For one thread of each rank, which watches the others.
  WatchLine& watch_line() { return *watch_line_; }

  /// What MPI provides: "single", "funneled", "serialized", "multiple".
  std::string thread_level() const;
  /// First line of MPI_Get_library_version, e.g. "MPICH Version: 4.0.2".
  std::string mpi_library() const;
  /// MPI accepts pointers to memory of Exec.
  bool gpu_aware() const { return world_->gpu_aware(); }

  /// Runs the body of main and returns the exit code of the process, the same on all ranks. Collective over
  /// the world.
  ///
  /// body     Takes nothing; returns nothing or an ExitCode (having said why, when it is not done).
  /// Failure  When a rank throws, one rank prints one line, `error: what`, with `(rank r)` unless all ranks failed
  ///          alike. Partita's errors carry their code; memory that ran out is 4, any other exception 1.
  /// Hangs    Never because a rank failed: ranks that do not come to agree within 1 s (10 s for codes 2, 3 and, but
  ///          for memory that ran out, 4, which ranks find together) are taken along by MPI_Abort(code).
  template <class Body>
  int guard(Body&& body) {
    detail::Failure failure;
    try {
      if (startup_failure_) std::rethrow_exception(startup_failure_);
      if constexpr (std::is_void_v<std::invoke_result_t<Body>>)
        std::forward<Body>(body)();
      else
        failure.code = std::forward<Body>(body)();
    } catch (...) {
      failure = detail::describe(std::current_exception());
    }
    return conclude(failure);
  }

  /// Prints `error: message (rank r)` first. Of the ranks that come here within half a second, rank 0 speaks.
  [[noreturn]] void abort(ExitCode code, const std::string& message) const;
  /// The same for a rank that speaks for all of them: `error: message`, at once.
  [[noreturn]] void end(ExitCode code, const std::string& message) const;

 private:
  int conclude(const detail::Failure& failure) const;
  void start_kokkos(int& argc, char**& argv);

  int thread_level_ = 0;
  bool kokkos_started_ = false;
  std::exception_ptr startup_failure_;
  std::unique_ptr<Traffic> traffic_ = std::make_unique<Traffic>();
  std::optional<Communicator> world_;
  std::optional<Communicator> verdicts_;  // agreement has messages of its own: the world may be stuck
  std::unique_ptr<WatchLine> watch_line_;
};

}  // namespace partita::comm
