// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/call_check.hpp>

#include <exception>
#include <utility>

#include <fmt/format.h>

#include <partita/comm/mpi_support.hpp>
#include <partita/core/error.hpp>

namespace partita::comm {
namespace {

constexpr std::size_t enough = 64;  // under way at a time, nearly always: afterwards nothing is allocated

// "allreduce 35 (ring), 800 elements of 4 bytes"
std::string words(const CollectiveCall& call) {
  std::string text = fmt::format("{} {}", call.operation.text, call.number);
  if (!call.algorithm.empty()) text += fmt::format(" ({})", call.algorithm.text);
  if (call.root >= 0) text += fmt::format(", root {}", call.root);
  if (call.elements >= 0) text += fmt::format(", {} elements of {} bytes", call.elements, call.element_bytes);
  return text;
}

}  // namespace

CallCheck::~CallCheck() {
  const bool unwinds = std::uncaught_exceptions() > 0;
  for (Told& told : told_) {
    if (told.request == MPI_REQUEST_NULL) continue;
    if (unwinds)
      MPI_Request_free(&told.request);
    else
      MPI_Wait(&told.request, MPI_STATUS_IGNORE);
  }
  if (unwinds) (void)new std::list<Told>(std::move(told_));  // MPI may still read them; the job is about to end
}

void CallCheck::tell(const CollectiveCall& mine) {
  while (!told_.empty() && told_.front().heard) {
    int gone = 0;
    detail::check(MPI_Test(&told_.front().request, &gone, MPI_STATUS_IGNORE), "MPI_Test");
    if (gone == 0) break;
    spare_.splice(spare_.end(), told_, told_.begin());
  }
  if (spare_.empty()) spare_.resize(told_.empty() ? enough : 1);
  told_.splice(told_.end(), spare_, spare_.begin());
  told_.back() = {.call = mine};
  detail::check(MPI_Isend(&told_.back().call, sizeof(CollectiveCall), MPI_BYTE, (rank_ + 1) % size_, detail::check_tag,
                          handle_, &told_.back().request),
                "MPI_Isend");
}

void CallCheck::hear(index_t number, const std::string& axis) {
  const int before = (rank_ + size_ - 1) % size_;
  for (Told& mine : told_) {
    if (mine.call.number > number) return;
    if (mine.heard) continue;
    CollectiveCall theirs;
    detail::check(MPI_Recv(&theirs, sizeof(theirs), MPI_BYTE, before, detail::check_tag, handle_, MPI_STATUS_IGNORE),
                  "MPI_Recv", axis);
    mine.heard = true;
    if (theirs != mine.call)
      refuse<Error>(fmt::format("collective call {} (axis {})", mine.call.number, axis),
                    fmt::format("rank {} is in {}; rank {} in {}", rank_, words(mine.call), before, words(theirs)),
                    "the same call on all ranks");
  }
}

}  // namespace partita::comm
