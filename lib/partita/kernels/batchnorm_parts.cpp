// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/batchnorm_parts.hpp>

#include <string>

#include <partita/kernels/backend/batch_norm.hpp>
#include <partita/kernels/backend/tree.hpp>

namespace partita::kernels {
namespace {

struct StoreNode {
  backend::LeafTree tree;
  double* to;  // (sums, columns)

  KOKKOS_FUNCTION void operator()(index_t i) const { to[i] = tree(i / tree.columns, i % tree.columns); }
};

struct MeanOfSums {
  index_t rows;
  const double* sums;
  double* mean;

  KOKKOS_FUNCTION void operator()(index_t c) const { mean[c] = backend::mean_of_sum(sums[c], rows); }
};

template <class Real>
struct FinishParts {
  backend::BatchVariance<Real> of;
  const double *unrounded, *squares;
  Real *mean, *variance, *rstd;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    mean[c] = Real(unrounded[c]);
    of(Real(squares[c]), variance[c], rstd[c]);
  }
};

/// The root's sums: of dz, then of dz (x - mean).
struct MergedSlopes {
  const double* sums;
  index_t columns;

  KOKKOS_FUNCTION double operator()(index_t s, index_t c) const { return sums[s * columns + c]; }
};

/// Calls fill(leaves, partial) for the sums of the leaves, `per_column` of them, and stores those of the nodes.
template <class X, class Fill>
void sum_nodes(Context& context, const char* function, const std::string& label, const BatchnormOptions& options,
               std::span<const Node> nodes, const X& x, index_t per_column, const Matrix<double>& sums,
               const Fill& fill) {
  const index_t R = index_t(x.extent(0)), C = index_t(x.extent(1)), leaves = options.rows.leaves;
  backend::require_extent(function, "sums", "columns", sums.extent(1), "x",
                          "columns, so many sums each:", std::size_t(per_column * C), "sums (nodes, sums of a column)");
  backend::require_nodes(function, leaves, nodes, sums.extent(0));
  if (nodes.empty()) return;
  backend::require_images_of(function, options.rows, options.pixels, R);
  double* const partial = static_cast<double*>(context.scratch(std::size_t(leaves * per_column * C) * sizeof(double)));
  fill(leaves, partial);
  for (std::size_t n = 0; n < nodes.size(); ++n)
    Kokkos::parallel_for(
        label, backend::range_policy(context.exec(), per_column * C),
        StoreNode{{nodes[n], partial, per_column, C}, sums.data() + index_t(n) * backend::stride_of(sums)});
}

}  // namespace

template <class Scalar>
void batchnorm_sum_nodes(Context& context, const BatchnormOptions& options, std::span<const Node> nodes,
                         std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<double> sums) {
  static const std::string leaves_label = "partita::kernels::batchnorm_sum_nodes::leaves";
  static const std::string label = "partita::kernels::batchnorm_sum_nodes";
  sum_nodes(context, "batchnorm_sum_nodes", label, options, nodes, x, 1, sums, [&](index_t leaves, double* partial) {
    const auto images = backend::batch_images(index_t(x.extent(0)), options.pixels, index_t(x.extent(1)));
    backend::leaf_sums(context.exec(), leaves_label, images, leaves,
                       backend::SumOfPixels<Scalar>{backend::batch_pixels<Scalar>(x, options.pixels)}, partial);
  });
}

template <class Scalar>
void batchnorm_square_nodes(Context& context, const BatchnormOptions& options, std::span<const Node> nodes,
                            std::type_identity_t<ConstMatrix<Scalar>> x, ConstVector<double> mean,
                            Matrix<double> sums) {
  static const std::string leaves_label = "partita::kernels::batchnorm_square_nodes::leaves";
  static const std::string label = "partita::kernels::batchnorm_square_nodes";
  backend::require_per_column("batchnorm_square_nodes", {{"mean", mean.extent(0)}}, x.extent(1));
  sum_nodes(context, "batchnorm_square_nodes", label, options, nodes, x, 1, sums, [&](index_t leaves, double* partial) {
    const auto images = backend::batch_images(index_t(x.extent(0)), options.pixels, index_t(x.extent(1)));
    backend::leaf_sums(
        context.exec(), leaves_label, images, leaves,
        backend::SquaresOfPixels<Scalar>{backend::batch_pixels<Scalar>(x, options.pixels), {mean.data(), 0, 1}},
        partial);
  });
}

template <class Scalar>
void batchnorm_slope_nodes(Context& context, const BatchnormOptions& options, std::span<const Node> nodes,
                           std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> y,
                           std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                           std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<double> sums) {
  static const std::string leaves_label = "partita::kernels::batchnorm_slope_nodes::leaves";
  static const std::string label = "partita::kernels::batchnorm_slope_nodes";
  backend::require_batch<Scalar>("batchnorm_slope_nodes", options, x, y, dy, {{"mean", mean.extent(0)}});
  sum_nodes(context, "batchnorm_slope_nodes", label, options, nodes, x, 2, sums, [&](index_t leaves, double* partial) {
    backend::batch_slope_leaves<Scalar>(context.exec(), leaves_label, options, leaves, x, y, mean.data(), dy, partial);
  });
}

void batchnorm_mean(const Exec& exec, index_t R, ConstVector<double> sums, Vector<double> mean) {
  static const std::string label = "partita::kernels::batchnorm_mean";
  backend::require_length("batchnorm_mean", "mean", mean.extent(0), "sums", sums.extent(0));
  Kokkos::parallel_for(label, backend::range_policy(exec, index_t(sums.extent(0))),
                       MeanOfSums{R, sums.data(), mean.data()});
}

template <class Real>
void batchnorm_finish_parts(const Exec& exec, const BatchnormOptions& options, ConstVector<double> unrounded,
                            ConstVector<double> squares, Vector<Real> mean, Vector<Real> variance, Vector<Real> rstd) {
  static const std::string label = "partita::kernels::batchnorm_finish_parts";
  for (const backend::NamedLength& v : {backend::NamedLength{"unrounded", unrounded.extent(0)},
                                        {"mean", mean.extent(0)},
                                        {"variance", variance.extent(0)},
                                        {"rstd", rstd.extent(0)}})
    backend::require_length("batchnorm_finish_parts", v.name, v.length, "squares", squares.extent(0));
  Kokkos::parallel_for(label, backend::range_policy(exec, index_t(squares.extent(0))),
                       FinishParts<Real>{{double(options.count), options.epsilon},
                                         unrounded.data(),
                                         squares.data(),
                                         mean.data(),
                                         variance.data(),
                                         rstd.data()});
}

template <class Real>
void batchnorm_finish_slopes(const Exec& exec, ConstVector<double> sums, std::type_identity_t<ConstVector<Real>> rstd,
                             Vector<Real> dgamma, Vector<Real> dbeta) {
  static const std::string label = "partita::kernels::batchnorm_finish_slopes";
  backend::require_length("batchnorm_finish_slopes", "dgamma", dgamma.extent(0), "rstd", rstd.extent(0));
  backend::require_length("batchnorm_finish_slopes", "dbeta", dbeta.extent(0), "rstd", rstd.extent(0));
  backend::require_extent("batchnorm_finish_slopes", "sums", "elements", sums.extent(0), "rstd",
                          "columns, two sums each:", 2 * rstd.extent(0), "sums (2 C)");
  backend::finish_batch_slopes<Real>(exec, label, MergedSlopes{sums.data(), index_t(rstd.extent(0))}, rstd, dgamma,
                                     dbeta);
}

#define PARTITA_INSTANTIATE(S)                                                                                      \
  template void batchnorm_sum_nodes<S>(Context&, const BatchnormOptions&, std::span<const Node>, ConstMatrix<S>,    \
                                       Matrix<double>);                                                             \
  template void batchnorm_square_nodes<S>(Context&, const BatchnormOptions&, std::span<const Node>, ConstMatrix<S>, \
                                          ConstVector<double>, Matrix<double>);                                     \
  template void batchnorm_slope_nodes<S>(Context&, const BatchnormOptions&, std::span<const Node>, ConstMatrix<S>,  \
                                         ConstMatrix<S>, ConstVector<accumulate_t<S>>, ConstMatrix<S>,              \
                                         Matrix<double>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE
#define PARTITA_INSTANTIATE(R)                                                                       \
  template void batchnorm_finish_parts<R>(const Exec&, const BatchnormOptions&, ConstVector<double>, \
                                          ConstVector<double>, Vector<R>, Vector<R>, Vector<R>);     \
  template void batchnorm_finish_slopes<R>(const Exec&, ConstVector<double>, ConstVector<R>, Vector<R>, Vector<R>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
