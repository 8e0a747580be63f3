// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>
#include <vector>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>

// The gradient norm adds cells: parts of tensors so small that whoever holds a share of the gradients holds whole ones.
// A cell's sum depends on its own elements alone, the total on the cells' sums in their order: ranks that gather the
// sums in the same order have the same norm, however the cells were shared out.

namespace partita::kernels {

/// Elements offset + r stride + c of a flat buffer, 0 <= r < rows, 0 <= c < columns. One row, or stride = columns: they
/// lie side by side, which is fastest. Else long rows are faster than many, and columns in 32s than others.
struct NormCell {
  index_t offset = 0;
  index_t rows = 1;
  index_t columns = 0;
  index_t stride = 0;

  friend constexpr bool operator==(const NormCell&, const NormCell&) = default;
};

using NormCells = ConstVector<NormCell>;

/// Elements of a cell: as many as one thread of a host, or one warp of a device, should add.
inline constexpr index_t norm_cell_limit = 4096;

/// A contiguous range in cells of norm_cell_limit, the last one shorter; no cell for an empty range.
std::vector<NormCell> norm_cells(Range range);

/// sums_k = the sum of the squares of cell k's elements of g, in double.
///
/// Shapes   cells (K)   g (n), which holds every cell   ->   sums (K), overwritten; 0 for a cell without elements.
/// Runs     enqueued on context.exec(); no fence, no allocation. A cell of more than norm_cell_limit elements is right,
///          but it is one thread's work.
/// Throws   ShapeError when there are not as many sums as cells. What cells say is in device memory and not checked.
/// Cost     cost::norm_squared.
/// Bits     32 lanes over the cell's elements in row-major order (lane l adds l, l + 32, ...), joined by a binary tree:
///          a function of these elements alone, whatever offset, stride and threads. An infinity or NaN shows; finite
///          floats give a finite sum.
template <class Real>
void norm_squared(Context& context, NormCells cells, std::type_identity_t<ConstVector<Real>> g, Vector<double> sums);

/// sum = sums_0 + sums_1 + ...
///
/// Shapes   sums (K)   ->   sum (), overwritten; 0 for K = 0.
/// Runs     enqueued on exec; no fence, no allocation.
/// Bits     512 lanes over the sums (lane l adds l, l + 512, ...), joined by a binary tree: a function of the sums in
///          their order. A chain would be a device's slowest kernel of the step.
void norm_total(const Exec& exec, ConstVector<double> sums, Kokkos::View<double, Memory> sum);

/// first = the least k whose sums_k is not finite, where `sum`, their total, is not and first is negative: who looks at
/// it some steps later learns which tensor it was.
///
/// Shapes   sum () = norm_total of sums (K)   ->   first (), updated or left as it is.
/// Runs     enqueued on exec; no fence, no allocation. Of a total that is finite nothing but that is read.
void first_not_finite(const Exec& exec, Kokkos::View<const double, Memory> sum, ConstVector<double> sums,
                      Kokkos::View<index_t, Memory> first);

/// g *= min(1, max_norm / (sqrt(sum) + 1e-6)), PyTorch's clip_grad_norm_; a norm that is NaN makes g NaN.
///
/// Shapes   sum () = norm_total of all that is clipped together   ->   g (n), updated in place.
/// Runs     enqueued on exec; no fence, no allocation; leaves g untouched where the factor is 1. To save the pass over
///          memory let the optimizer do it: optimizer_clip.
/// Cost     cost::clip_by_norm.
template <class Real>
void clip_by_norm(const Exec& exec, double max_norm, Kokkos::View<const double, Memory> sum, Vector<Real> g);

/// min(1, max_norm / (norm + 1e-6)).
KOKKOS_INLINE_FUNCTION double clip_factor(double max_norm, double norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor > 1 ? 1 : factor;  // NaN stays
}

}  // namespace partita::kernels
