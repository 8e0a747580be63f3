// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/waits.hpp>

#include <algorithm>

#include <partita/core/clock.hpp>

namespace partita::comm {

const char* WaitBoard::keep(std::string_view words) {
  const auto found = std::find(words_.begin(), words_.end(), words);
  return found != words_.end() ? found->c_str() : words_.emplace_back(words).c_str();
}

// Whoever reads anything that is written between the two numbers sees the first of them, too: stores release, loads
// acquire.
template <class Write>
void WaitBoard::write(const Write& write) {
  const std::uint64_t version = version_.load(std::memory_order_relaxed);
  version_.store(version + 1, std::memory_order_relaxed);
  write();
  version_.store(version + 2, std::memory_order_release);
}

void WaitBoard::put(const Wait& wait) {
  now_ = wait;
  write([&] {
    operation_.store(wait.operation, std::memory_order_release);
    algorithm_.store(wait.algorithm, std::memory_order_release);
    axis_.store(wait.axis, std::memory_order_release);
    call_.store(wait.call, std::memory_order_release);
    bytes_.store(wait.bytes, std::memory_order_release);
    peer_.store(wait.peer, std::memory_order_release);
    since_ns_.store(wait.since_ns, std::memory_order_release);
  });
}

void WaitBoard::turn_to(int peer) {
  if (now_.peer == peer) return;
  now_.peer = peer;
  write([&] { peer_.store(peer, std::memory_order_release); });
}

Wait WaitBoard::look() const {
  for (;;) {
    const std::uint64_t before = changes();
    const Wait wait{.operation = operation_.load(std::memory_order_acquire),
                    .algorithm = algorithm_.load(std::memory_order_acquire),
                    .axis = axis_.load(std::memory_order_acquire),
                    .call = call_.load(std::memory_order_acquire),
                    .bytes = bytes_.load(std::memory_order_acquire),
                    .peer = peer_.load(std::memory_order_acquire),
                    .since_ns = since_ns_.load(std::memory_order_acquire)};
    if (before % 2 == 0 && version_.load(std::memory_order_relaxed) == before) return wait;
  }
}

Waiting::Waiting(WaitBoard* board, Wait wait) : board_(board) {
  if (board_ == nullptr) return;
  outer_ = board_->now();
  if (wait.since_ns == 0) wait.since_ns = now_ns();
  board_->put(wait);
}

Waiting::~Waiting() {
  if (board_ != nullptr) board_->put(outer_);
}

}  // namespace partita::comm
