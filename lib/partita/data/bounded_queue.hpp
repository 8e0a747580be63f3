// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <stop_token>

#include <partita/core/index.hpp>

namespace partita::data {

/// What a queue has seen since its counts were last forgotten.
struct QueueCounts {
  index_t delivered = 0;   ///< rows that were taken
  index_t dropped = 0;     ///< rows that found no room
  index_t takes = 0;       ///< times that rows were taken
  index_t fill_sum = 0;    ///< rows that lay there just before, summed over the takes
  index_t least_fill = 0;  ///< the fewest of them
  double starved_s = 0;    ///< seconds that the taker waited for rows
};

/// Sleeps that a request to stop ends at once. Allocates nothing but when it is made.
class Nap {
 public:
  /// False: asked to stop.
  bool sleep(const std::stop_token& stop, double s);

 private:
  std::mutex mutex_;
  std::condition_variable_any never_;
};

/// A bounded queue between one thread that reads and one that takes. It counts rows and waits for them; the rows
/// themselves lie in a ring of the owner's, at places 0 ... capacity - 1. Allocates nothing.
class BoundedQueue {
 public:
  /// Throws   UsageError unless capacity >= 1.
  explicit BoundedQueue(index_t capacity);

  // For the thread that reads.

  /// Place of the row that comes next, the reader's own until push(); -1: the queue is full.
  index_t room() const;
  /// Waits for it. -1: asked to stop.
  index_t wait_for_room(const std::stop_token& stop);
  /// The row at that place is there now.
  void push();
  /// A row found no room.
  void drop();
  /// No row comes any more, and why. Those that lie there can still be taken.
  void fail(std::exception_ptr why);

  // For the thread that takes.

  /// How many rows lie there. Waits for `rows` of them, at most `most_s` seconds, and not where none comes any more.
  index_t wait(index_t rows, double most_s);
  /// Place of the oldest row.
  index_t front() const;
  /// The oldest rows are taken, and their places free. They must lie there.
  void pop(index_t rows);
  /// Why no row comes any more; null: some may.
  std::exception_ptr failure() const;

  QueueCounts counts() const;
  void forget_counts();

 private:
  const index_t capacity_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable_any freed_;
  std::condition_variable came_;
  index_t first_ = 0, fill_ = 0;
  index_t wanted_ = 0;  // rows that the taker waits for; 0: it does not
  std::exception_ptr failure_;
  QueueCounts counts_;
};

}  // namespace partita::data
