// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/kernels/backend/channel_norm.hpp>
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/batchnorm.hpp>

// What batch norm of all rows and of parts of the images share, so that both round alike.

namespace partita::kernels::backend {

/// R rows as one set of images, a channel a statistic.
inline ImageGroups batch_images(index_t R, index_t pixels, index_t C) { return {1, R / pixels, pixels, C, C}; }

template <class Scalar>
PixelAt<Scalar> batch_pixels(const ConstMatrix<Scalar>& a, index_t pixels) {
  return {a.data(), pixels * stride_of(a), stride_of(a)};
}

/// From the squares of `count` rows.
template <class Real>
struct BatchVariance {
  double count, epsilon;

  KOKKOS_FORCEINLINE_FUNCTION void operator()(Real squares, Real& variance, Real& rstd) const {
    const double sum = double(squares), biased = count > 0 ? sum / count : 0.0;
    variance = Real(count > 1 ? sum / (count - 1) : biased);
    rstd = Real(1 / Kokkos::sqrt(biased + epsilon));
  }
};

/// Sum s of a column, sums of them a leaf, over a node of the tree.
struct LeafTree {
  Node node;
  const double* partial;  // (leaves, sums, columns)
  index_t sums, columns;

  KOKKOS_FUNCTION double operator()(index_t s, index_t c) const {
    return tree_of<double>(node, [&](index_t leaf) { return partial[(leaf * sums + s) * columns + c]; });
  }
};

/// Sum 0 is of dz, sum 1 of dz (x - mean).
template <class Real, class Sums>
struct FinishBatchSlopes {
  Sums sums;
  const Real* rstd;
  Real *dgamma, *dbeta;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    dgamma[c] = Real(sums(1, c) * double(rstd[c]));
    dbeta[c] = Real(sums(0, c));
  }
};

template <class Real, class Sums>
void finish_batch_slopes(const Exec& exec, const std::string& label, const Sums& sums, const ConstVector<Real>& rstd,
                         const Vector<Real>& dgamma, const Vector<Real>& dbeta) {
  Kokkos::parallel_for(label, range_policy(exec, index_t(rstd.extent(0))),
                       FinishBatchSlopes<Real, Sums>{sums, rstd.data(), dgamma.data(), dbeta.data()});
}

/// partial(leaf, sum, c) of those sums.
template <class Scalar>
void batch_slope_leaves(const Exec& exec, const std::string& label, const BatchnormOptions& options, index_t leaves,
                        const ConstMatrix<Scalar>& x, const ConstMatrix<Scalar>& y, const accumulate_t<Scalar>* mean,
                        const ConstMatrix<Scalar>& dy, double* partial) {
  const index_t pixels = options.pixels;
  const ImageGroups e = batch_images(index_t(x.extent(0)), pixels, index_t(x.extent(1)));
  const auto run = [&]<bool relu>(const PixelAt<Scalar>& y_at) {
    leaf_sums(exec, label, e, leaves,
              SlopesOfPixels<Scalar, relu>{batch_pixels(x, pixels), y_at, batch_pixels(dy, pixels), {mean, 0, 1}},
              partial);
  };
  if (options.relu)
    run.template operator()<true>(batch_pixels(y, pixels));
  else
    run.template operator()<false>({});
}

/// Checks operands of backward.
template <class Scalar>
void require_batch(const char* function, const BatchnormOptions& options, const ConstMatrix<Scalar>& x,
                   const ConstMatrix<Scalar>& y, const ConstMatrix<Scalar>& dy,
                   std::initializer_list<NamedLength> vectors) {
  require_shape(function, "dy", dy, "x", x, "(R, C)");
  if (options.relu) require_shape(function, "y", y, "x", x, "(R, C)");
  require_per_column(function, vectors, x.extent(1));
}

}  // namespace partita::kernels::backend
