// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/row_slices.hpp>

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/kernels/conv2d_shape.hpp>
#include <partita/kernels/pool2d.hpp>

namespace partita::parallel {
namespace {

index_t floor_of(index_t a, index_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

Slice inside(index_t begin, index_t end, index_t rows) {
  begin = std::clamp<index_t>(begin, 0, rows);
  return {begin, std::max<index_t>(std::clamp<index_t>(end, 0, rows) - begin, 0), rows};
}

bool within(Slice part, Slice of) { return part.extent == 0 || (of.offset <= part.offset && part.end() <= of.end()); }

Slice one(index_t row, index_t rows) { return {row, 1, rows}; }

// Which rows of an image each rank has, and which it needs.
struct Need {
  std::function<Slice(int)> own, needed;
};

RowHalo halo_of(const Need& of, int rank, int ranks) {
  const auto needed = [&](int r) {
    const Slice rows = of.needed(r), own = of.own(r);
    return rows.extent > 0 ? rows : Slice{own.offset, 0, own.global};  // windows that lie in the padding read nothing
  };
  RowHalo result{of.own(rank), needed(rank), {}};
  const Slice own = result.own;
  const auto behind = [&](index_t begin, index_t end) { return std::max<index_t>(end - begin, 0); };
  if (rank > 0) {
    result.rows.from_left = behind(result.needed.offset, own.offset);
    result.rows.to_left = behind(own.offset, needed(rank - 1).end());
  }
  if (rank + 1 < ranks) {
    result.rows.from_right = behind(own.end(), result.needed.end());
    result.rows.to_right = behind(needed(rank + 1).offset, own.end());
  }
  return result;
}

// Runs of rows whose `needed` is not all here.
template <class Needed>
std::vector<RowBlock> edges(Slice made, Slice own, const Needed& needed) {
  std::vector<RowBlock> blocks;
  for (index_t row = made.offset; row < made.end(); ++row) {
    if (within(needed(one(row, made.global)), own)) continue;
    if (!blocks.empty() && blocks.back().made.end() == row)
      ++blocks.back().made.extent;
    else
      blocks.push_back({one(row, made.global), {}});
  }
  for (RowBlock& block : blocks) block.read = needed(block.made);
  return blocks;
}

}  // namespace

index_t most_rows(const std::vector<RowBlock>& blocks, Slice RowBlock::*which) {
  index_t most = 0;
  for (const RowBlock& block : blocks) most = std::max(most, (block.*which).extent);
  return most;
}

RowSlices::RowSlices(index_t rows, int ranks) {
  if (ranks < 1) refuse<ShapeError>("RowSlices", fmt::format("{} ranks", ranks), "at least 1");
  for (int rank = 0; rank < ranks; ++rank) bounds_.push_back(partition(rows, ranks, rank).offset);
  bounds_.push_back(rows);
}

std::vector<index_t> RowSlices::bounds(index_t rows, index_t reduction) const {
  std::vector<index_t> all;
  for (int rank = 0; rank <= ranks(); ++rank) all.push_back(bound(rank, rows, reduction));
  return all;
}

template <class Shape>
Slice rows_read(const Shape& whole, Slice out) {
  if (out.extent == 0) return inside(0, 0, whole.rows);
  const index_t first = out.offset * whole.stride - whole.above;
  return inside(first, (out.end() - 1) * whole.stride - whole.above + whole.kernel_rows, whole.rows);
}

template <class Shape>
Slice rows_reading(const Shape& whole, Slice in) {
  if (in.extent == 0) return inside(0, 0, whole.out_rows());
  // out s - above <= in < out s - above + kernel
  const index_t first = floor_of(in.offset + whole.above - whole.kernel_rows, whole.stride) + 1;
  return inside(first, floor_of(in.end() - 1 + whole.above, whole.stride) + 1, whole.out_rows());
}

template <class Shape>
RowStencil row_stencil(const std::string& unit, const Shape& whole, const RowSlices& slices, index_t reduction,
                       int rank) {
  const index_t rows = whole.rows, out_rows = whole.out_rows();
  const auto in = [&](int r) { return slices.of(r, rows, reduction); };
  const auto out = [&](int r) { return slices.of(r, out_rows, reduction * whole.stride); };
  const Need x{in, [&](int r) { return rows_read(whole, out(r)); }};
  const Need dy{out, [&](int r) { return rows_reading(whole, in(r)); }};
  const int ranks = slices.ranks();
  const auto refused = [&](const char* what, int r, Slice slice, const std::string& why) {
    refuse<UsageError>("parallel.spatial",
                       fmt::format("{} ranks share {} {} rows of {}, and rank {} would have {}{}", ranks, slice.global,
                                   what, unit, r, slice.extent, why),
                       "fewer ranks, or images of more rows");
  };
  const std::pair<const Need*, const char*> needs[] = {{&x, "input"}, {&dy, "output"}};
  for (const auto& [need, what] : needs)
    for (int r = 0; r < ranks; ++r)
      if (need->own(r).extent == 0) refused(what, r, need->own(r), "");
  for (const auto& [need, what] : needs)
    for (int r = 0; r < ranks; ++r) {
      const RowHalo of = halo_of(*need, r, ranks);
      const index_t most = std::max(of.rows.to_left, of.rows.to_right);
      if (of.own.extent < most) refused(what, r, of.own, fmt::format(", of which a neighbour reads {}", most));
    }
  RowStencil stencil{in(rank), out(rank), halo_of(x, rank, ranks), halo_of(dy, rank, ranks), {}, {}};
  stencil.edges = edges(stencil.out, stencil.in, [&](Slice made) { return rows_read(whole, made); });
  stencil.edges_of_dx = edges(stencil.in, stencil.out, [&](Slice made) { return rows_reading(whole, made); });
  return stencil;
}

index_t halo_bytes(const RowStencil& stencil, index_t B, index_t row_of_x, index_t row_of_dy, index_t element_bytes) {
  const auto sent = [](const comm::Borders& rows) { return rows.to_left + rows.to_right; };
  return B * element_bytes * (sent(stencil.forward.rows) * row_of_x + sent(stencil.backward.rows) * row_of_dy);
}

#define PARTITA_ROW_STENCIL(Shape)                  \
  template Slice rows_read(const Shape&, Slice);    \
  template Slice rows_reading(const Shape&, Slice); \
  template RowStencil row_stencil(const std::string&, const Shape&, const RowSlices&, index_t, int);
PARTITA_ROW_STENCIL(kernels::Conv2dShape)
PARTITA_ROW_STENCIL(kernels::Pool2dShape)
#undef PARTITA_ROW_STENCIL

}  // namespace partita::parallel
