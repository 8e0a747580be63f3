// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include <partita/core/index.hpp>

namespace partita::comm {

/// What a rank waits for. Texts live as long as the board that it was read from.
struct Wait {
  const char* operation = nullptr;  ///< "allreduce", "barrier", "receive"; null: it waits for nobody
  const char* algorithm = "";       ///< "ring"; empty: there is but one
  const char* axis = "";            ///< name of the communicator
  index_t call = -1;                ///< number of the collective call on its communicator, from 0; -1: none
  index_t bytes = 0;                ///< that this rank sends in it, or is sent in a message
  int peer = -1;                    ///< rank of the world; -1: all of the communicator
  std::int64_t since_ns = 0;        ///< now_ns()
};

/// What this process waits for at the moment: written by the thread that communicates, read by one that watches it.
///
/// A wait is a few stores and one reading of the clock; nothing is allocated, and nobody locks. What is read is whole:
/// one wait, or none.
class WaitBoard {
 public:
  /// The same words, kept as long as the board.
  const char* keep(std::string_view words);

  /// From any thread.
  Wait look() const;
  /// Another number whenever a wait begins, ends or turns to another peer: a sign of life. From any thread.
  std::uint64_t changes() const { return version_.load(std::memory_order_acquire); }

  const Wait& now() const { return now_; }
  void put(const Wait& wait);
  void turn_to(int peer);

 private:
  template <class Write>
  void write(const Write& write);

  std::deque<std::string> words_;
  Wait now_;                               // the writer's own copy
  std::atomic<std::uint64_t> version_{0};  // odd: it is being written
  std::atomic<const char*> operation_{nullptr}, algorithm_{""}, axis_{""};
  std::atomic<index_t> call_{-1}, bytes_{0};
  std::atomic<int> peer_{-1};
  std::atomic<std::int64_t> since_ns_{0};
};

/// Stands on the board while it lives; then what stood there before does again. Without a board it does nothing.
class [[nodiscard]] Waiting {
 public:
  /// Its time begins now, unless since_ns says when.
  Waiting(WaitBoard* board, Wait wait);
  ~Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  WaitBoard* board_;
  Wait outer_;
};

}  // namespace partita::comm
