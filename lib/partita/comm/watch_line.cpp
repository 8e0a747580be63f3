// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/watch_line.hpp>

#include <thread>
#include <utility>

namespace partita::comm {

WatchLine::WatchLine(Communicator ranks, bool open)
    : ranks_(std::move(ranks)), mail_(ranks_), open_(open), sent_(static_cast<std::size_t>(ranks_.size())) {}

void WatchLine::settle() {
  if (!open()) return;
  index_t mine = 0;
  detail::check(MPI_Reduce_scatter_block(sent_.data(), &mine, 1, MPI_INT64_T, MPI_SUM, ranks_.handle()),
                "MPI_Reduce_scatter_block", ranks_.name());
  for (char any = 0; taken_ < mine;)
    if (!take(any)) std::this_thread::yield();
}

}  // namespace partita::comm
