// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/nn/window.hpp>

namespace partita::nn::detail {

void require_inside(Range asked, Range has) {
  throw ShapeError(fmt::format("Window: elements [{}, {}) are asked for, the window covers [{}, {}): expected a part",
                               asked.offset, asked.end(), has.offset, has.end()));
}

void require_extent(Range range, index_t rows, index_t columns) {
  if (rows * columns != range.extent)
    throw ShapeError(fmt::format("Window::matrix: the range has {} elements, {} x {} are asked for: expected the same",
                                 range.extent, rows, columns));
}

}  // namespace partita::nn::detail
