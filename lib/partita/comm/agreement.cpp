// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/agreement.hpp>

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <time.h>

#include <partita/core/clock.hpp>

namespace partita::comm::detail {

namespace {

constexpr int notice_tag = 1;
constexpr std::int64_t second_ns = 1'000'000'000;

/// Between two looks: yield at first, then sleep, so that ranks still at work get the core.
class Patience {
 public:
  void pause() {
    if (++looks_ < 64) {
      sched_yield();
      return;
    }
    const timespec nap{0, std::min(looks_ * 1000L, 1'000'000L)};
    nanosleep(&nap, nullptr);
  }

 private:
  long looks_ = 0;
};

/// Least wins: exceptions before returned codes, low ranks before high ones, done last.
std::int64_t key(const Failure& mine, int rank) {
  if (!mine) return std::numeric_limits<std::int64_t>::max();
  const std::int64_t silent = mine.message.empty() ? 1 : 0;
  return silent << 48 | std::int64_t{rank} << 8 | static_cast<std::int64_t>(mine.code);
}

/// Positive, so that its negative exists.
std::int64_t fingerprint(const Failure& mine) {
  const std::size_t h =
      std::hash<std::string>{}(mine.message) ^ static_cast<std::size_t>(mine.code) * 0x9E3779B97F4A7C15u;
  return static_cast<std::int64_t>(h >> 1);
}

/// Words between ranks that failed, for the case that the others never come.
class Notices {
 public:
  Notices(MPI_Comm handle, int rank, int size) : handle_(handle), rank_(rank), size_(size) {}

  /// Tells every higher rank that this one failed and will speak.
  void tell_higher() {
    sends_.resize(static_cast<std::size_t>(size_ - rank_ - 1));
    for (int to = rank_ + 1; to < size_; ++to)
      MPI_Isend(nullptr, 0, MPI_BYTE, to, notice_tag, handle_, &sends_[static_cast<std::size_t>(to - rank_ - 1)]);
    told_ = 1;
  }
  bool told() const { return told_ != 0; }

  bool heard_lower() const {
    int found = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, notice_tag, handle_, &found, MPI_STATUS_IGNORE);
    return found != 0;  // only lower ranks send to this one
  }

  /// Everybody came after all: receives what was sent, so that nothing is under way at MPI_Finalize.
  void settle() {
    std::vector<char> told(static_cast<std::size_t>(size_));
    MPI_Allgather(&told_, 1, MPI_CHAR, told.data(), 1, MPI_CHAR, handle_);
    for (int from = 0; from < rank_; ++from)
      if (told[static_cast<std::size_t>(from)] != 0)
        MPI_Recv(nullptr, 0, MPI_BYTE, from, notice_tag, handle_, MPI_STATUS_IGNORE);
    MPI_Waitall(static_cast<int>(sends_.size()), sends_.data(), MPI_STATUSES_IGNORE);
  }

 private:
  MPI_Comm handle_;
  int rank_, size_;
  char told_ = 0;
  std::vector<MPI_Request> sends_;
};

}  // namespace

std::int64_t grace_ns(const Failure& failure) {
  const ExitCode code = failure.code;
  const bool together =
      code == ExitCode::usage || code == ExitCode::check_failed || (code == ExitCode::unfit && !failure.memory);
  return together ? 10 * second_ns : second_ns;
}

Verdict agree(MPI_Comm handle, const Failure& mine) {
  int rank = 0, size = 1;
  MPI_Comm_rank(handle, &rank);
  MPI_Comm_size(handle, &size);
  const std::int64_t print = mine ? fingerprint(mine) : 0;
  const std::array<std::int64_t, 3> give{key(mine, rank), print, -print};
  std::array<std::int64_t, 3> least{};
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Iallreduce(give.data(), least.data(), 3, MPI_INT64_T, MPI_MIN, handle, &request) != MPI_SUCCESS)
    end_job(mine ? mine : Failure{ExitCode::run_failed, "MPI_Iallreduce failed when ranks agreed on an exit code"},
            rank);

  Notices notices(handle, rank, size);
  Patience patience;
  const std::int64_t start = now_ns();
  std::int64_t deadline = start + grace_ns(mine);
  bool deferred = false;
  int arrived = 0;
  while (true) {
    if (MPI_Test(&request, &arrived, MPI_STATUS_IGNORE) != MPI_SUCCESS)
      end_job(mine ? mine : Failure{ExitCode::run_failed, "MPI_Test failed when ranks agreed on an exit code"}, rank);
    if (arrived != 0) break;
    if (mine) {
      const std::int64_t now = now_ns();
      if (!notices.told() && now > start + grace_ns(mine) / 4) notices.tell_higher();
      if (now > deadline && !deferred && notices.heard_lower()) {
        deferred = true;
        deadline = now + grace_ns({ExitCode::usage, ""}) + second_ns;
      }
      if (now > deadline) end_job(mine, rank);
    }
    patience.pause();
  }
  if (least[0] == std::numeric_limits<std::int64_t>::max()) return {};
  notices.settle();
  return {static_cast<ExitCode>(least[0] & 0xff), static_cast<int>(least[0] >> 8 & 0xffffffff), least[1] == -least[2]};
}

void print_failure(const std::string& message, int rank) {
  std::fflush(stdout);
  const std::string line =
      rank < 0 ? fmt::format("error: {}\n", message) : fmt::format("error: {} (rank {})\n", message, rank);
  // One write, so that no other output comes between.
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

namespace {

template <ExitCode code>
void leave() {
  _exit(static_cast<int>(code));
}

using Leave = void (*)();
Leave leave_by(ExitCode code) {
  constexpr Leave all[] = {leave<ExitCode::done>,         leave<ExitCode::run_failed>, leave<ExitCode::usage>,
                           leave<ExitCode::check_failed>, leave<ExitCode::unfit>,      leave<ExitCode::incomplete>};
  return all[static_cast<std::size_t>(code)];
}

}  // namespace

void end_job(const Failure& mine, int rank) {
  print_failure(mine.message.empty() ? "stopped while other ranks were at work" : mine.message, rank);
  // The launcher ends the job without reading what is left in its pipes: the line must be out before.
  const timespec moment{0, 200'000'000};
  nanosleep(&moment, nullptr);
  // MPI_Abort may call exit(), whose handlers take code and memory away from threads that are still computing (code
  // that a library generated, for one): the handler that is registered last runs first, and it is the last.
  std::atexit(leave_by(mine.code));
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(mine.code));
  _exit(static_cast<int>(mine.code));
}

}  // namespace partita::comm::detail
