// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <stop_token>
#include <thread>
#include <vector>

#include <partita/core/types.hpp>
#include <partita/data/bounded_queue.hpp>
#include <partita/data/check.hpp>

namespace partita::data {

/// Samples of a stream have indices below this, where the held-out ones of what is made up begin.
inline constexpr index_t most_streamed = detail::held_out_origin;

/// What becomes of a sample that finds the queue full: its reader waits, or it is lost.
enum class WhenFull { block, drop };

struct ReaderOptions {
  index_t depth = 8;                     ///< of the queue, in batches
  double rate = 0;                       ///< samples/s of all ranks together; 0: as fast as they can be had
  WhenFull when_full = WhenFull::block;  ///< a source that waits falls behind its rate, and does not catch up
};

/// Writes the numbers and labels of one sample; called from the reader's thread alone, for samples in growing order.
/// Plain loops on host memory: no kernel, no MPI, no allocation. False: asked to stop.
/// Throws   IncompleteError where the stream ends, another Error for what is wrong with it.
template <class Number>
using SampleSource = std::function<bool(index_t sample, Number* x, std::int32_t* label, const std::stop_token& stop)>;

/// The samples of a rank's rows as they come: a thread reads them into a bounded queue of whole batches, the step takes
/// one batch after the other. Row b of step s is sample s * rows.global + rows.offset + b, whatever the number of
/// ranks, as long as nothing is dropped.
///
/// With a rate, sample i comes i / rate seconds after the start.
/// Number   float, bfloat16, float16; std::int32_t for tokens.
template <class Number>
class StreamReader {
 public:
  /// Allocates all memory, which devices can read.
  StreamReader(const ReaderOptions& options, Slice rows, index_t columns, index_t labels, SampleSource<Number> source);
  /// Ends the thread, wherever it waits.
  ~StreamReader();
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  /// Whole batches that lie there; waits for one, at most so long. The first call starts the thread.
  index_t wait(double most_s);
  /// Why there will be no further batch; null: there may be. IncompleteError: the stream ended.
  std::exception_ptr failure() const { return queue_.failure(); }

  /// The next batch, which must lie there.
  ///
  /// Shapes   -> x (rows.extent, columns), label (rows.extent labels), overwritten.
  /// Runs     enqueued on exec; no allocation. On a device the next call of wait or take fences exec first.
  /// Throws   ShapeError unless the extents fit and a batch lies there.
  void take(const Exec& exec, const Matrix<Number>& x, const Vector<std::int32_t>& label);

  QueueCounts counts() const { return queue_.counts(); }
  void forget_counts() { queue_.forget_counts(); }
  /// Rows that find room.
  index_t capacity() const { return depth_ * rows_.extent; }

 private:
  using Pinned = Kokkos::SharedHostPinnedSpace;

  void read(const std::stop_token& stop);
  bool await_arrival(index_t sample, bool blocked, const std::stop_token& stop);
  void release();

  index_t depth_;
  double rate_;
  WhenFull when_full_;
  Slice rows_;
  index_t columns_, labels_;
  SampleSource<Number> source_;
  Kokkos::View<Number**, Kokkos::LayoutRight, Pinned> x_;            // (capacity + 1, columns): the last is for drops
  Kokkos::View<std::int32_t**, Kokkos::LayoutRight, Pinned> label_;  // (capacity + 1, labels)
  BoundedQueue queue_;
  Nap nap_;
  std::int64_t start_ns_ = 0;
  Exec held_by_;  // whose kernel reads the oldest batch
  bool held_ = false;
  std::jthread thread_;
};

}  // namespace partita::data
