// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

namespace partita::nn {

/// The type of sums: gradients, running statistics, what norms keep.
template <class Scalar>
using Sum = accumulate_t<Scalar>;

namespace detail {
/// Throws   ShapeError: `asked` is no part of `has`, or `rows` x `columns` are not its elements.
void require_inside(Range asked, Range has);
void require_extent(Range range, index_t rows, index_t columns);
}  // namespace detail

/// Elements `range` of a flat buffer: `data` is the place of element range.offset. Units hold ranges of a buffer and
/// are handed a window of it at each call, so that sharded, stashed or per-worker weights are only other windows.
template <class Scalar>
struct Window {
  Scalar* data = nullptr;
  Range range;

  Window() = default;
  Window(Scalar* at, Range of) : data(at), range(of) {}
  /// The whole buffer.
  Window(Vector<Scalar> buffer)  // NOLINT(google-explicit-constructor): a buffer is its own widest window
      : data(buffer.data()), range{0, static_cast<index_t>(buffer.extent(0))} {}

  /// Throws   ShapeError unless `part` lies inside.
  Window window(Range part) const { return {at(part), part}; }
  Vector<Scalar> vector(Range part) const { return {at(part), static_cast<std::size_t>(part.extent)}; }
  Matrix<Scalar> matrix(Range part, index_t rows, index_t columns) const {
    detail::require_extent(part, rows, columns);
    return {at(part), static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)};
  }

 private:
  Scalar* at(Range part) const {
    if (part.extent == 0) return data;  // what a unit has not got, such as a bias, lies anywhere
    if (part.offset < range.offset || part.end() > range.end() || part.extent < 0) detail::require_inside(part, range);
    return data == nullptr ? nullptr : data + (part.offset - range.offset);
  }
};

}  // namespace partita::nn
