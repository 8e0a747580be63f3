// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/norm_cells.hpp>

#include <algorithm>
#include <map>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

namespace partita::nn {
namespace {

// rows x columns elements, rows `stride` apart, in row-major order; adjacent rows are one long one, unless a split
// along columns would part them: cells must not depend on it.
void cut(index_t offset, index_t rows, index_t columns, index_t stride, bool joins,
         std::vector<kernels::NormCell>& cells) {
  if (rows <= 0 || columns <= 0) return;
  if ((joins && columns == stride) || rows == 1) {
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

// Which part of the whole tensor some cells are: indices of blocks, and of rows where several lie between them.
using Key = std::vector<index_t>;

// The cells of dimensions d, d + 1, ... of a tensor, whose first element lies at `offset`: emit(key, cells), for the
// blocks of the whole in order, those that are elsewhere with no cells.
template <class Emit>
void blocks(std::span<const Dimension> dimensions, index_t offset, Key& key, const Emit& emit) {
  index_t inner = 1;  // elements of one index of the first dimension
  index_t last_cut = 0;
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    if (d > 0) inner *= dimensions[d].slice.extent;
    if (dimensions[d].blocks > 1) last_cut = static_cast<index_t>(d);
  }
  std::vector<kernels::NormCell> cells;
  const auto emit_cut = [&](index_t at, index_t rows, index_t columns, index_t stride, bool joins) {
    cells.clear();
    cut(at, rows, columns, stride, joins, cells);
    emit(key, cells);
  };
  if (dimensions.empty()) return emit_cut(offset, 1, 1, 1, true);
  const Dimension& rows = dimensions[0];
  const bool matrix = dimensions.size() == 2;
  for (index_t b = 0; b < rows.blocks; ++b) {
    const Range range = mine(rows, b);
    const index_t at = offset + range.offset * inner;
    key.push_back(b);
    if (last_cut == 0) {
      emit_cut(at, range.extent, inner, inner, true);
    } else if (matrix) {
      for (index_t c = 0; c < dimensions[1].blocks; ++c) {
        const Range columns = mine(dimensions[1], c);
        key.push_back(c);
        emit_cut(at + columns.offset, range.extent, columns.extent, inner, false);
        key.pop_back();
      }
    } else {
      for (index_t i = 0; i < range.extent; ++i) {
        key.push_back(rows.slice.offset + range.offset + i);
        blocks(dimensions.subspan(1), at + i * inner, key, emit);
        key.pop_back();
      }
    }
    key.pop_back();
  }
}

template <class Emit>
void each_block(const Parameter& parameter, const Emit& emit) {
  Key key;
  blocks(parameter.dimensions, parameter.range.offset, key, emit);
}

}  // namespace

std::vector<kernels::NormCell> norm_cells(const ParameterTable& table) {
  std::vector<kernels::NormCell> all;
  for (const Parameter& parameter : table.parameters())
    each_block(parameter, [&](const Key&, const std::vector<kernels::NormCell>& cells) {
      all.insert(all.end(), cells.begin(), cells.end());
    });
  return all;
}

std::vector<index_t> cell_places(const ParameterTable& part, const ParameterTable& whole) {
  struct Cells {
    index_t first, count;
  };
  std::map<std::string_view, std::map<Key, Cells>> of;
  index_t next = 0;
  for (const Parameter& parameter : whole.parameters())
    each_block(parameter, [&](const Key& key, const std::vector<kernels::NormCell>& cells) {
      of[parameter.name][key] = {next, std::ssize(cells)};
      next += std::ssize(cells);
    });
  std::vector<index_t> places;
  for (const Parameter& parameter : part.parameters()) {
    const auto tensor = of.find(parameter.name);
    each_block(parameter, [&](const Key& key, const std::vector<kernels::NormCell>& cells) {
      if (cells.empty()) return;
      const bool known = tensor != of.end() && tensor->second.contains(key);
      const Cells same = known ? tensor->second.at(key) : Cells{0, 0};
      if (same.count != std::ssize(cells))
        refuse<UsageError>(
            "cell_places",
            fmt::format("{} is here in a part of {} cells, the whole has {}", parameter.name, cells.size(), same.count),
            "tensors that are split along blocks");
      for (index_t k = 0; k < same.count; ++k) places.push_back(same.first + k);
    });
  }
  return places;
}

const Parameter& tensor_of_cell(const ParameterTable& table, index_t cell) {
  const std::vector<kernels::NormCell> cells = norm_cells(table);
  if (cell < 0 || cell >= std::ssize(cells))
    refuse<ShapeError>("tensor_of_cell", fmt::format("cell {}", cell), fmt::format("one of {}", cells.size()));
  const index_t at = cells[static_cast<std::size_t>(cell)].offset;
  const std::vector<Parameter>& all = table.parameters();
  return *std::find_if(all.begin(), all.end(),
                       [&](const Parameter& each) { return each.range.offset <= at && at < each.range.end(); });
}

}  // namespace partita::nn
