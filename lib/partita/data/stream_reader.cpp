// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/stream_reader.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/core/float16.hpp>
#include <partita/data/check.hpp>

namespace partita::data {

template <class Number>
StreamReader<Number>::StreamReader(const ReaderOptions& options, Slice rows, index_t columns, index_t labels,
                                   SampleSource<Number> source)
    : depth_(options.depth),
      rate_(options.rate),
      when_full_(options.when_full),
      rows_(rows),
      columns_(columns),
      labels_(labels),
      source_(std::move(source)),
      x_("partita::data::StreamReader::x", capacity() + 1, columns),
      label_("partita::data::StreamReader::label", capacity() + 1, labels),
      queue_(capacity()) {}

template <class Number>
StreamReader<Number>::~StreamReader() {
  release();
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
}

template <class Number>
bool StreamReader<Number>::await_arrival(index_t sample, bool blocked, const std::stop_token& stop) {
  const std::int64_t due = start_ns_ + static_cast<std::int64_t>(1e9 * static_cast<double>(sample) / rate_);
  const std::int64_t late = now_ns() - due;
  if (late < 0) return nap_.sleep(stop, seconds(-late));
  if (blocked) start_ns_ += late;  // time stood still for the source
  return true;
}

template <class Number>
void StreamReader<Number>::read(const std::stop_token& stop) {
  try {
    start_ns_ = now_ns();
    for (index_t n = 0; !stop.stop_requested(); ++n) {
      const index_t sample = n / rows_.extent * rows_.global + rows_.offset + n % rows_.extent;
      index_t place = queue_.room();
      const bool blocked = place < 0 && when_full_ == WhenFull::block;
      if (blocked) place = queue_.wait_for_room(stop);
      if (blocked && place < 0) return;
      if (rate_ > 0 && !await_arrival(sample, blocked, stop)) return;
      const index_t at = place < 0 ? capacity() : place;
      if (!source_(sample, &x_(at, 0), &label_(at, 0), stop)) return;
      if (place < 0 && (place = queue_.room()) >= 0) {  // made while the sample was on its way
        std::copy_n(&x_(at, 0), columns_, &x_(place, 0));
        std::copy_n(&label_(at, 0), labels_, &label_(place, 0));
      }
      place < 0 ? queue_.drop() : queue_.push();
    }
  } catch (...) {
    queue_.fail(std::current_exception());
  }
}

template <class Number>
index_t StreamReader<Number>::wait(double most_s) {
  release();
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { read(stop); });
  return queue_.wait(rows_.extent, most_s) / rows_.extent;
}

template <class Number>
void StreamReader<Number>::release() {
  if (!held_) return;
  static const std::string label = "partita::data::StreamReader: the batch before was read";  // made once
  held_by_.fence(label);
  held_ = false;
  queue_.pop(rows_.extent);
}

template <class Number>
void StreamReader<Number>::take(const Exec& exec, const Matrix<Number>& x, const Vector<std::int32_t>& label) {
  release();
  if (static_cast<index_t>(x.extent(0)) != rows_.extent || static_cast<index_t>(x.extent(1)) != columns_ ||
      static_cast<index_t>(label.extent(0)) != rows_.extent * labels_)
    refuse<ShapeError>("StreamReader::take",
                       "x is " + detail::extents(x.extent(0), x.extent(1)) + ", label has " +
                           std::to_string(label.extent(0)) + " elements",
                       "x " +
                           detail::extents(static_cast<std::size_t>(rows_.extent), static_cast<std::size_t>(columns_)) +
                           " and " + std::to_string(labels_) + " labels a row");
  if (const index_t lie = queue_.wait(rows_.extent, 0); lie < rows_.extent)
    refuse<ShapeError>("StreamReader::take", std::to_string(lie) + " rows lie there", "a whole batch: wait first");
  const index_t first = queue_.front(), numbers = rows_.extent * columns_, all_labels = rows_.extent * labels_;
  const Number* from = &x_(first, 0);  // places of a batch lie one after another: batches alone are taken
  const std::int32_t* from_label = &label_(first, 0);
  Number* to = x.data();
  std::int32_t* to_label = label.data();
  static const std::string kernel = "partita::data::StreamReader::take";  // made once
  Kokkos::parallel_for(
      kernel, Kokkos::RangePolicy<Exec, Kokkos::IndexType<index_t>>(exec, 0, std::max(numbers, all_labels)),
      KOKKOS_LAMBDA(index_t i) {
        if (i < numbers) to[i] = from[i];
        if (i < all_labels) to_label[i] = from_label[i];
      });
  if constexpr (std::is_same_v<Exec, HostExec>) {
    queue_.pop(rows_.extent);  // the kernel is done
  } else {
    held_by_ = exec;
    held_ = true;
  }
}

template class StreamReader<float>;
template class StreamReader<bfloat16>;
template class StreamReader<float16>;
template class StreamReader<std::int32_t>;

}  // namespace partita::data
