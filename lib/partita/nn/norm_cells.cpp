// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/norm_cells.hpp>

#include <span>

#include <partita/core/partition.hpp>

namespace partita::nn {
namespace {

// rows x columns elements, rows `stride` apart, in row-major order.
void cut(index_t offset, index_t rows, index_t columns, index_t stride, std::vector<kernels::NormCell>& cells) {
  if (rows <= 0 || columns <= 0) return;
  if (columns == stride || rows == 1) {  // adjacent: one row of them all
    columns *= rows;
    rows = 1;
  }
  const index_t at_once = rows == 1 ? 1 : kernels::norm_cell_limit / columns;
  for (index_t r = 0; r < rows; r += std::max<index_t>(at_once, 1)) {
    if (at_once > 1) {
      cells.push_back({offset + r * stride, std::min(at_once, rows - r), columns, stride});
    } else {
      const std::vector<kernels::NormCell> row = kernels::norm_cells({offset + r * stride, columns});
      cells.insert(cells.end(), row.begin(), row.end());
    }
  }
}

// My part of block b of a dimension, counted from the first element that I hold.
Range mine(const Dimension& dimension, index_t b) {
  const Slice& slice = dimension.slice;
  const Slice block = partition(slice.global, dimension.blocks, b);
  const index_t first = std::max(block.offset, slice.offset), end = std::min(block.end(), slice.end());
  return {first - slice.offset, std::max<index_t>(end - first, 0)};
}

// The cells of dimensions d, d + 1, ... of a tensor, whose first element lies at `offset`.
void blocks(std::span<const Dimension> dimensions, index_t offset, std::vector<kernels::NormCell>& cells) {
  index_t inner = 1;  // elements of one index of the first dimension
  index_t last_cut = 0;
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    if (d > 0) inner *= dimensions[d].slice.extent;
    if (dimensions[d].blocks > 1) last_cut = static_cast<index_t>(d);
  }
  if (dimensions.empty()) return cut(offset, 1, 1, 1, cells);
  const Dimension& rows = dimensions[0];
  const bool matrix = dimensions.size() == 2;
  for (index_t b = 0; b < rows.blocks; ++b) {
    const Range range = mine(rows, b);
    const index_t at = offset + range.offset * inner;
    if (last_cut == 0) {
      cut(at, range.extent, inner, inner, cells);
    } else if (matrix) {
      for (index_t c = 0; c < dimensions[1].blocks; ++c) {
        const Range columns = mine(dimensions[1], c);
        cut(at + columns.offset, range.extent, columns.extent, inner, cells);
      }
    } else {
      for (index_t i = 0; i < range.extent; ++i) blocks(dimensions.subspan(1), at + i * inner, cells);
    }
  }
}

}  // namespace

std::vector<kernels::NormCell> norm_cells(const ParameterTable& table) {
  std::vector<kernels::NormCell> cells;
  for (const Parameter& parameter : table.parameters()) blocks(parameter.dimensions, parameter.range.offset, cells);
  return cells;
}

}  // namespace partita::nn
