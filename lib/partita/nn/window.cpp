// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/window.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn::detail {

void require_inside(Range asked, Range has) {
  refuse<ShapeError>("Window",
                     fmt::format("elements [{}, {}) are asked for, the window covers [{}, {})", asked.offset,
                                 asked.end(), has.offset, has.end()),
                     "a part");
}

void require_extent(Range range, index_t rows, index_t columns) {
  if (rows * columns != range.extent)
    refuse<ShapeError>("Window::matrix",
                       fmt::format("the range has {} elements, {} x {} are asked for", range.extent, rows, columns),
                       "the same");
}

}  // namespace partita::nn::detail
