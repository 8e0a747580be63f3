// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/ownership.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/nn/norm_cells.hpp>

namespace partita::nn {
namespace {

// From a cell's first element to behind its last one.
Range span_of(const kernels::NormCell& cell) {
  return {cell.offset, (cell.rows - 1) * (cell.rows > 1 ? cell.stride : 0) + cell.columns};
}

[[noreturn]] void refuse_crossing(Range cell, index_t bound) {
  refuse<UsageError>("Ownership", fmt::format("a norm cell in [{}, {}) is cut at {}", cell.offset, cell.end(), bound),
                     "bounds of cell_cuts()");
}

}  // namespace

index_t Ownership::size() const {
  index_t sum = 0;
  for (const Range& range : ranges) sum += range.extent;
  return sum;
}

Ownership everything(const ParameterTable& table) { return {.ranges = {{0, table.size()}}}; }

std::vector<CellRun> cell_runs(std::span<const Range> ranges, std::span<const kernels::NormCell> cells) {
  for (std::size_t r = 1; r < ranges.size(); ++r)
    if (ranges[r].offset < ranges[r - 1].end())
      refuse<UsageError>("Ownership",
                         fmt::format("[{}, {}) follows [{}, {})", ranges[r].offset, ranges[r].end(),
                                     ranges[r - 1].offset, ranges[r - 1].end()),
                         "ascending ranges that are apart");
  std::vector<CellRun> runs;
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const Range span = span_of(cells[k]);
    const auto index = static_cast<index_t>(k);
    // The first range that ends behind the cell's first element.
    const auto in = std::partition_point(ranges.begin(), ranges.end(),
                                         [&](const Range& range) { return range.end() <= span.offset; });
    if (in == ranges.end() || in->offset >= span.end()) continue;
    if (span.offset < in->offset) refuse_crossing(span, in->offset);
    if (span.end() > in->end()) refuse_crossing(span, in->end());
    const auto range = static_cast<std::size_t>(in - ranges.begin());
    if (!runs.empty() && runs.back().range == range && runs.back().cells.end() == index)
      ++runs.back().cells.extent;
    else
      runs.push_back({range, {index, 1}});
  }
  return runs;
}

std::vector<Range> cells_of(std::span<const Range> ranges, std::span<const kernels::NormCell> cells) {
  std::vector<Range> joined;
  for (const CellRun& run : cell_runs(ranges, cells))
    if (!joined.empty() && joined.back().end() == run.cells.offset)
      joined.back().extent += run.cells.extent;
    else
      joined.push_back(run.cells);
  return joined;
}

std::vector<index_t> cell_bounds(const ParameterTable& table, Range within) {
  std::vector<Range> spans;
  for (const kernels::NormCell& cell : norm_cells(table)) {
    const Range span = span_of(cell);
    if (span.end() <= within.offset || span.offset >= within.end()) continue;
    for (const index_t bound : {within.offset, within.end()})
      if (span.offset < bound && bound < span.end()) refuse_crossing(span, bound);
    spans.push_back(span);
  }
  std::sort(spans.begin(), spans.end(), [](const Range& a, const Range& b) { return a.offset < b.offset; });
  std::vector<index_t> at = {within.offset};
  index_t reached = within.offset;
  for (const Range& span : spans) {
    if (span.offset >= reached && span.offset > at.back()) at.push_back(span.offset);
    reached = std::max(reached, span.end());
  }
  if (within.end() > at.back()) at.push_back(within.end());
  return at;
}

std::vector<index_t> cell_cuts(const ParameterTable& table, Range within, index_t parts) {
  if (parts < 1) refuse<UsageError>("cell_cuts", fmt::format("{} parts", parts), "at least 1");
  const std::vector<index_t> at = cell_bounds(table, within);
  std::vector<index_t> cuts = {within.offset};
  for (index_t k = 1; k < parts; ++k) {
    const index_t even = within.offset + partition(within.extent, parts, k).offset;
    const auto behind = std::lower_bound(at.begin(), at.end(), even);  // there is one: the end
    const bool before = behind != at.begin() && even - *(behind - 1) < *behind - even;
    cuts.push_back(before ? *(behind - 1) : *behind);
  }
  cuts.push_back(within.end());
  return cuts;
}

}  // namespace partita::nn
