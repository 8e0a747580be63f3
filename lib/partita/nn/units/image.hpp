// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/index.hpp>

namespace partita::nn {

/// Extents of a channels-last image: a row of x is (rows, columns, channels) numbers.
struct Image {
  index_t rows = 0, columns = 0, channels = 0;
  index_t reduction = 1;  ///< rows of the network's input for one of these: the product of the strides before it

  constexpr index_t pixels() const { return rows * columns; }
  constexpr index_t size() const { return pixels() * channels; }
};

}  // namespace partita::nn
