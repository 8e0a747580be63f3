// SPDX-License-Identifier: BSD-3-Clause
#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/leaf_sums.hpp>
#include <partita/kernels/backend/pool.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/pool2d.hpp>

namespace partita::kernels {
namespace {

using backend::for_pixels;
using backend::pool_width;
using backend::PoolPixels;
using backend::stride_of;

/// The mean of a sum over the pixels, rounded.
template <class Scalar>
KOKKOS_FORCEINLINE_FUNCTION Scalar mean_of_pixels(accumulate_t<Scalar> sum, index_t pixels) {
  return Scalar(sum / accumulate_t<Scalar>(pixels > 0 ? pixels : 1));
}

/// A single row of a single pixel an image: its sum runs over all pixels.
template <class Scalar>
struct GlobalForward {
  using Real = accumulate_t<Scalar>;
  index_t pixels;
  PoolPixels<const Scalar> x;
  PoolPixels<Scalar> y;

  KOKKOS_FUNCTION void pixel(index_t b, index_t, index_t, index_t first, index_t end) const {
    const int n = int(end - first);
    Real sum[pool_width] = {};
    for (index_t p = 0; p < pixels; ++p) {
      const Scalar* const from = x.at(b, 0, p) + first;
      for (int k = 0; k < n; ++k) sum[k] += Real(from[k]);
    }
    for (int k = 0; k < n; ++k) y.at(b, 0, 0)[first + k] = mean_of_pixels<Scalar>(sum[k], pixels);
  }
};

/// A node of the tree over blocks of pixels.
template <class Scalar>
struct PixelNode {
  using Real = accumulate_t<Scalar>;
  index_t pixels, leaves;
  Node node;
  PoolPixels<const Scalar> x;

  KOKKOS_FUNCTION Real operator()(index_t b, index_t k) const {
    return backend::tree_of<Real>(node, [&](index_t leaf) {
      Real of_leaf = 0;
      const index_t last = backend::leaf_begin(pixels, leaves, leaf + 1);
      for (index_t p = backend::leaf_begin(pixels, leaves, leaf); p < last; ++p) of_leaf += Real(x.at(b, 0, p)[k]);
      return of_leaf;
    });
  }
};

/// The same as GlobalForward from the root.
template <class Scalar>
struct GlobalForwardBlocks {
  PixelNode<Scalar> root;
  PoolPixels<Scalar> y;

  KOKKOS_FUNCTION void pixel(index_t b, index_t, index_t, index_t first, index_t end) const {
    for (index_t k = first; k < end; ++k) y.at(b, 0, 0)[k] = mean_of_pixels<Scalar>(root(b, k), root.pixels);
  }
};

template <class Scalar>
struct GlobalNode {
  PixelNode<Scalar> node;
  PoolPixels<accumulate_t<Scalar>> sums;

  KOKKOS_FUNCTION void pixel(index_t b, index_t, index_t, index_t first, index_t end) const {
    for (index_t k = first; k < end; ++k) sums.at(b, 0, 0)[k] = node(b, k);
  }
};

template <class Scalar>
struct GlobalFinish {
  index_t pixels;
  PoolPixels<const accumulate_t<Scalar>> sum;
  PoolPixels<Scalar> y;

  KOKKOS_FUNCTION void pixel(index_t b, index_t, index_t, index_t first, index_t end) const {
    for (index_t k = first; k < end; ++k) y.at(b, 0, 0)[k] = mean_of_pixels<Scalar>(sum.at(b, 0, 0)[k], pixels);
  }
};

template <class Scalar>
struct GlobalBackward {
  using Real = accumulate_t<Scalar>;
  index_t count;
  PoolPixels<const Scalar> dy;
  PoolPixels<Scalar> dx;

  KOKKOS_FUNCTION void pixel(index_t b, index_t, index_t c, index_t first, index_t end) const {
    const Scalar* const from = dy.at(b, 0, 0);
    Scalar* const to = dx.at(b, 0, c);
#pragma GCC ivdep
    for (index_t k = first; k < end; ++k) to[k] = Scalar(Real(from[k]) / Real(count));
  }
};

}  // namespace

template <class Scalar>
void global_average_pool2d_forward(const Exec& exec, index_t pixels, const Blocks& rows,
                                   std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::global_average_pool2d_forward";
  const index_t B = index_t(y.extent(0)), C = index_t(y.extent(1));
  backend::require_images("global_average_pool2d_forward", "x", x, "y", y, pixels * C, C);
  backend::require_rows("global_average_pool2d_forward", rows);
  const PoolPixels<const Scalar> in{x.data(), stride_of(x), pixels, C};
  const PoolPixels<Scalar> out{y.data(), stride_of(y), 1, C};
  if (rows.leaves > 1)
    for_pixels(exec, label, B, 1, 1, C, GlobalForwardBlocks<Scalar>{{pixels, rows.leaves, {0, rows.leaves}, in}, out});
  else
    for_pixels(exec, label, B, 1, 1, C, GlobalForward<Scalar>{pixels, in, out});
}

template <class Scalar>
void global_average_pool2d_nodes(const Exec& exec, index_t pixels, const Blocks& rows, std::span<const Node> nodes,
                                 std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<accumulate_t<Scalar>> sums) {
  static const std::string label = "partita::kernels::global_average_pool2d_nodes";
  const char* const function = "global_average_pool2d_nodes";
  const index_t B = index_t(x.extent(0)), C = B > 0 ? index_t(sums.extent(1)) / B : 0;
  backend::require_extent(function, "sums", "columns", sums.extent(1), "x",
                          "rows, C channels each:", std::size_t(B * C), "sums (nodes, B C)");
  if (B > 0)
    backend::require_extent(function, "x", "columns", x.extent(1), "an image", "numbers", std::size_t(pixels * C),
                            "x (B, pixels C)");
  backend::require_nodes(function, rows.leaves, nodes, sums.extent(0));
  if (!nodes.empty()) backend::require_rows(function, rows);
  for (std::size_t n = 0; n < nodes.size(); ++n)
    for_pixels(exec, label, B, 1, 1, C,
               GlobalNode<Scalar>{{pixels, rows.leaves, nodes[n], {x.data(), stride_of(x), pixels, C}},
                                  {sums.data() + index_t(n) * stride_of(sums), C, 1, C}});
}

template <class Scalar>
void global_average_pool2d_finish(const Exec& exec, index_t pixels,
                                  std::type_identity_t<ConstVector<accumulate_t<Scalar>>> sum, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::global_average_pool2d_finish";
  const index_t B = index_t(y.extent(0)), C = index_t(y.extent(1));
  backend::require_extent("global_average_pool2d_finish", "sum", "elements", sum.extent(0), "y", "elements",
                          std::size_t(B * C), "sum (B C) and y (B, C)");
  for_pixels(exec, label, B, 1, 1, C,
             GlobalFinish<Scalar>{pixels, {sum.data(), C, 1, C}, {y.data(), stride_of(y), 1, C}});
}

template <class Scalar>
void global_average_pool2d_backward(const Exec& exec, index_t pixels, std::type_identity_t<ConstMatrix<Scalar>> dy,
                                    Matrix<Scalar> dx, index_t count) {
  static const std::string label = "partita::kernels::global_average_pool2d_backward";
  const index_t B = index_t(dy.extent(0)), C = index_t(dy.extent(1));
  backend::require_images("global_average_pool2d_backward", "dx", dx, "dy", dy, pixels * C, C);
  for_pixels(exec, label, B, 1, pixels, C,
             GlobalBackward<Scalar>{
                 count > 0 ? count : pixels, {dy.data(), stride_of(dy), 1, C}, {dx.data(), stride_of(dx), pixels, C}});
}

#define PARTITA_INSTANTIATE(S)                                                                                    \
  template void global_average_pool2d_forward<S>(const Exec&, index_t, const Blocks&, ConstMatrix<S>, Matrix<S>); \
  template void global_average_pool2d_nodes<S>(const Exec&, index_t, const Blocks&, std::span<const Node>,        \
                                               ConstMatrix<S>, Matrix<accumulate_t<S>>);                          \
  template void global_average_pool2d_finish<S>(const Exec&, index_t, ConstVector<accumulate_t<S>>, Matrix<S>);   \
  template void global_average_pool2d_backward<S>(const Exec&, index_t, ConstMatrix<S>, Matrix<S>, index_t);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
