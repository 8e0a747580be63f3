// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/kernels/norm.hpp>
#include <partita/nn/parameter_table.hpp>

namespace partita::nn {

/// How values of owned ranges lie in a buffer: each at its place in the flat weights, or one range after the other.
enum class Layout { flat, packed };

/// Which weights a rank updates.
struct Ownership {
  std::vector<Range> ranges;        ///< of the flat weights, ascending and apart; no norm cell crosses a bound
  Layout gradients = Layout::flat;  ///< of the gradient that it is given
  Layout weights = Layout::flat;    ///< of the weights that it changes

  /// Elements that are owned.
  index_t size() const;
};

/// Everything: one range.
Ownership everything(const ParameterTable& table);

/// Consecutive cells, by their indices, of one of some ranges.
struct CellRun {
  std::size_t range;
  Range cells;
};

/// Which cells lie in ranges that are ascending and apart: runs in the order of the cells. A range is one run but where
/// it ends inside of a tensor that is cut along several dimensions.
/// Throws   UsageError for ranges that are not ascending, or a cell that crosses a bound.
std::vector<CellRun> cell_runs(std::span<const Range> ranges, std::span<const kernels::NormCell> cells);

/// The same as ranges of cell indices: ascending, neighbours joined.
std::vector<Range> cells_of(std::span<const Range> ranges, std::span<const kernels::NormCell> cells);

/// Where `within`, a range of the flat weights, may be cut: ascending offsets at which every cell lies wholly before or
/// behind, its own bounds first and last. Cells of a tensor that is cut along several dimensions lie interleaved, and
/// many of them together are then one block that is not cut.
/// Throws   UsageError when a cell crosses a bound of `within`.
std::vector<index_t> cell_bounds(const ParameterTable& table, Range within);

/// Shares of `within` that are as even as cells allow: parts + 1 ascending offsets, its own bounds first and last. Each
/// is the one of cell_bounds() that is nearest to partition(within, parts, .).
/// Throws   UsageError as cell_bounds() does, and for less than one part.
std::vector<index_t> cell_cuts(const ParameterTable& table, Range within, index_t parts);

}  // namespace partita::nn
