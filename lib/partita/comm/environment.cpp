// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/environment.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include <Kokkos_Core.hpp>

#include <partita/comm/agreement.hpp>
#include <partita/core/machine.hpp>
#include <partita/core/types.hpp>

namespace partita::comm {

namespace {

/// MPICH declares the query in mpi.h, Open MPI in mpi-ext.h, others not at all: the loader knows.
bool mpi_says(const char* query) {
  void* symbol = dlsym(RTLD_DEFAULT, query);
  return symbol != nullptr && reinterpret_cast<int (*)()>(symbol)() != 0;
}

bool mpi_accepts_exec_memory() {
  if (Kokkos::SpaceAccessibility<HostExec, Memory>::accessible) return true;
  return mpi_says("MPIX_Query_cuda_support") || mpi_says("MPIX_Query_hip_support") ||
         mpi_says("MPIX_Query_rocm_support");
}

/// Cores of this node, as far as its ranks may use them, for each of its ranks; at least one.
int fair_threads(const Communicator& world) {
  const Communicator node = world.split_by_node();
  std::vector<int> cores = node.allgather(std::span<const int>(cpu_mask()));
  std::sort(cores.begin(), cores.end());
  const auto distinct = std::unique(cores.begin(), cores.end()) - cores.begin();
  return std::max(1, static_cast<int>(distinct) / node.size());
}

/// The user chose how many threads a rank has.
bool threads_given(const std::vector<char*>& args) {
  const auto chooses = [](const char* arg) { return std::string_view(arg).starts_with("--kokkos-num-threads"); };
  return std::getenv("OMP_NUM_THREADS") != nullptr || std::getenv("KOKKOS_NUM_THREADS") != nullptr ||
         std::any_of(args.begin(), args.end(), chooses);
}

Communicator duplicate_world(const char* name, Traffic* traffic) {
  MPI_Comm handle = MPI_COMM_NULL;
  detail::check(MPI_Comm_dup(MPI_COMM_WORLD, &handle), "MPI_Comm_dup");
  return Communicator::adopt(handle, name, traffic, mpi_accepts_exec_memory());
}

/// A standard stream that was closed would be the next file's number, and what is printed would go into that file. This
/// one takes its place, and refuses to be written to as the closed one does.
void keep_standard_streams() {
  while (true) {
    const int descriptor = ::open("/dev/null", O_RDONLY);
    if (descriptor > STDERR_FILENO) ::close(descriptor);
    if (descriptor < 0 || descriptor > STDERR_FILENO) return;
  }
}

}  // namespace

Environment::Environment(int& argc, char**& argv) {
  keep_standard_streams();
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &thread_level_);
  // Of calls that wait for a request, such as one whose message is too long, MPICH asks these and not the request's.
  for (MPI_Comm each : {MPI_COMM_WORLD, MPI_COMM_SELF}) MPI_Comm_set_errhandler(each, MPI_ERRORS_RETURN);
  verdicts_.emplace(duplicate_world("verdicts", nullptr));
  world_.emplace(duplicate_world("world", traffic_.get()));
  watch_line_ = std::make_unique<WatchLine>(duplicate_world("watch", nullptr), thread_level_ == MPI_THREAD_MULTIPLE);
  try {
    start_kokkos(argc, argv);
  } catch (const std::exception& error) {
    startup_failure_ = std::make_exception_ptr(EnvironmentError(std::string("Kokkos::initialize: ") + error.what()));
  }
}

void Environment::start_kokkos(int& argc, char**& argv) {
  // Only what is Kokkos's: at --help it would print its own flags, on every rank, ahead of the app's.
  std::vector<char*> args{argv[0]}, own{argv[0]};
  for (int i = 1; i < argc; ++i) (std::string_view(argv[i]).starts_with("--kokkos-") ? args : own).push_back(argv[i]);
  // Kokkos would warn on every rank of what the driver says once, in words of this suite (threads, bindings). Who wants
  // its own words sets KOKKOS_DISABLE_WARNINGS=0.
  char quiet[] = "--kokkos-disable-warnings";
  if (std::getenv("KOKKOS_DISABLE_WARNINGS") == nullptr) args.insert(args.begin() + 1, quiet);
  // OpenMP would give every rank all cores; ranks that poll and threads that spin would then wait for each other.
  std::string threads = "--kokkos-num-threads=" + std::to_string(fair_threads(*world_));
  if (!threads_given(args)) args.push_back(threads.data());
  args.push_back(nullptr);
  int count = static_cast<int>(args.size()) - 1;
  Kokkos::initialize(count, args.data());
  kokkos_started_ = true;
  argc = static_cast<int>(own.size());
  std::copy(own.begin(), own.end(), argv);
  argv[argc] = nullptr;
}

Environment::~Environment() {
  const bool unwinding = std::uncaught_exceptions() > 0;
  if (kokkos_started_) Kokkos::finalize();
  if (unwinding && size() > 1) {
    // Not through guard(): nobody agreed on anything, and MPI_Finalize would wait for ranks that may never come.
    abort(ExitCode::run_failed, "an exception left main without guard()");
  }
  if (!unwinding) watch_line_->settle();
  watch_line_.reset();
  world_.reset();
  verdicts_.reset();
  MPI_Finalize();
}

std::string Environment::thread_level() const {
  switch (thread_level_) {
    case MPI_THREAD_MULTIPLE:
      return "multiple";
    case MPI_THREAD_SERIALIZED:
      return "serialized";
    case MPI_THREAD_FUNNELED:
      return "funneled";
    default:
      return "single";
  }
}

std::string Environment::mpi_library() const {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string line(text, static_cast<std::size_t>(length));
  line.resize(std::min(line.size(), line.find('\n')));
  for (std::size_t tab; (tab = line.find('\t')) != std::string::npos;) line.replace(tab, 1, " ");
  return line;
}

void Environment::abort(ExitCode code, const std::string& message) const {
  if (rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  detail::end_job({code, message}, rank());
}

void Environment::end(ExitCode code, const std::string& message) const { detail::end_job({code, message}, -1); }

int Environment::conclude(const detail::Failure& failure) const {
  const detail::Verdict verdict = detail::agree(verdicts_->handle(), failure);
  if (rank() == verdict.speaker && !failure.message.empty())
    detail::print_failure(failure.message, verdict.alike || size() == 1 ? -1 : rank());
  return static_cast<int>(verdict.code);
}

}  // namespace partita::comm
