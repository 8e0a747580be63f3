// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/batchnorm.hpp>

#include <string>

#include <partita/kernels/backend/batch_norm.hpp>
#include <partita/kernels/backend/tree.hpp>

namespace partita::kernels {
namespace {

using backend::load;
using backend::stride_of;

/// Rows of a task of a kernel that works element by element: any number is right.
constexpr index_t batch_apply_rows = backend::runs_on_host ? 256 : 8;

/// Per chunk: sums, then sums of squares about the chunk's own mean.
template <class Scalar>
struct BatchMoments {
  using Real = accumulate_t<Scalar>;
  const Scalar* x;
  index_t stride, columns;
  Real* partial;  // (chunks, 2, columns)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t end, index_t c) const {
    Real* const to = partial + begin / batchnorm_chunk * 2 * columns + c;
    backend::moments<Value>(backend::Channel<const Scalar>{x + begin * stride + c, stride}, end - begin, to,
                            to + columns);
  }
};

/// Puts the chunks of a column together.
template <class Real>
struct FinishBatchMoments {
  const Real* partial;
  index_t rows, columns, chunks;
  Real *mean, *squares;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    double sum = 0, about_means = 0;
    for (index_t chunk = 0; chunk < chunks; ++chunk) sum += double(partial[2 * chunk * columns + c]);
    const double m = rows > 0 ? sum / double(rows) : 0.0;
    for (index_t chunk = 0; chunk < chunks; ++chunk) {
      const index_t left = rows - chunk * batchnorm_chunk;
      const bool full = left >= batchnorm_chunk;
      const double n = double(full ? batchnorm_chunk : left);
      const double off = double(partial[2 * chunk * columns + c]) * (full ? 1.0 / batchnorm_chunk : 1 / n) - m;
      about_means += double(partial[(2 * chunk + 1) * columns + c]) + n * off * off;
    }
    mean[c] = Real(m);
    squares[c] = Real(about_means);
  }
};

template <class Real>
struct StoreBatchSquares {
  Real* squares;

  KOKKOS_FUNCTION void operator()(index_t, index_t c, double sum) const { squares[c] = Real(sum); }
};

template <class Real>
struct FinishVariance {
  backend::BatchVariance<Real> of;
  const Real* squares;
  Real *variance, *rstd;

  KOKKOS_FUNCTION void operator()(index_t c) const { of(squares[c], variance[c], rstd[c]); }
};

/// y = (x - mean) (gamma rstd) + beta; rstd from a variance where `epsilon` is not negative.
template <class Scalar, bool relu>
struct BatchApply {
  using Real = accumulate_t<Scalar>;
  const Scalar* x;
  index_t x_stride;
  const Scalar *gamma, *beta;
  const Real *mean, *rstd;
  Real epsilon;
  Scalar* y;
  index_t y_stride;

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t end, index_t c) const {
    const Value rstd_c = epsilon < Real(0) ? load<Value>(rstd + c) : from_variance<Value>(c);
    backend::normalise<Value, relu>(backend::Channel<const Scalar>{x + begin * x_stride + c, x_stride}, end - begin,
                                    load<Value>(mean + c), load<Value>(gamma + c) * rstd_c, load<Value>(beta + c),
                                    backend::Channel<Scalar>{y + begin * y_stride + c, y_stride});
  }
  template <class Value>
  KOKKOS_FUNCTION Value from_variance(index_t c) const {
    constexpr index_t width = index_t(sizeof(Value) / sizeof(Real));
    Real root[width];
    for (index_t j = 0; j < width; ++j) root[j] = Real(1 / Kokkos::sqrt(double(rstd[c + j]) + double(epsilon)));
    return load<Value>(root);
  }
};

/// Checks and launches; `rstd` is a variance where epsilon is not negative.
template <class Scalar>
void batch_apply(const Exec& exec, const char* function, const std::string& label, const BatchnormOptions& options,
                 const ConstMatrix<Scalar>& x, const ConstVector<Scalar>& gamma, const ConstVector<Scalar>& beta,
                 const char* mean_name, const ConstVector<accumulate_t<Scalar>>& mean, const char* rstd_name,
                 const ConstVector<accumulate_t<Scalar>>& rstd, double epsilon, const Matrix<Scalar>& y) {
  backend::require_shape(function, "y", y, "x", x, "(R, C)");
  backend::require_per_column(
      function,
      {{"gamma", gamma.extent(0)}, {"beta", beta.extent(0)}, {mean_name, mean.extent(0)}, {rstd_name, rstd.extent(0)}},
      x.extent(1));
  using Real = accumulate_t<Scalar>;
  const auto run = [&]<bool relu>() {
    backend::for_columns<Real>(exec, label, index_t(x.extent(0)), index_t(x.extent(1)), batch_apply_rows,
                               BatchApply<Scalar, relu>{x.data(), stride_of(x), gamma.data(), beta.data(), mean.data(),
                                                        rstd.data(), Real(epsilon), y.data(), stride_of(y)});
  };
  if (options.relu)
    run.template operator()<true>();
  else
    run.template operator()<false>();
}

}  // namespace

template <class Scalar>
void batchnorm_stats(Context& context, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     Vector<accumulate_t<Scalar>> mean, Vector<accumulate_t<Scalar>> squares) {
  using Real = accumulate_t<Scalar>;
  static const std::string chunks_label = "partita::kernels::batchnorm_stats::chunks";
  static const std::string leaves_label = "partita::kernels::batchnorm_stats::leaves";
  static const std::string label = "partita::kernels::batchnorm_stats";
  const index_t R = index_t(x.extent(0)), C = index_t(x.extent(1)), pixels = options.pixels;
  backend::require_per_column("batchnorm_stats", {{"mean", mean.extent(0)}, {"squares", squares.extent(0)}},
                              x.extent(1));
  const index_t leaves = backend::leaves_of_images("batchnorm_stats", options.rows, pixels, R);
  if (leaves > 1)
    return backend::moments_in_blocks<Scalar>(context, leaves_label, label, backend::batch_images(R, pixels, C), leaves,
                                              backend::batch_pixels<Scalar>(x, pixels), mean.data(), 0,
                                              StoreBatchSquares<Real>{squares.data()});
  const index_t chunks = (R + batchnorm_chunk - 1) / batchnorm_chunk;
  Real* const partial = static_cast<Real*>(context.scratch(std::size_t(2 * chunks * C) * sizeof(Real)));
  backend::for_columns<Real>(context.exec(), chunks_label, R, C, batchnorm_chunk,
                             BatchMoments<Scalar>{x.data(), stride_of(x), C, partial});
  Kokkos::parallel_for(label, backend::range_policy(context.exec(), C),
                       FinishBatchMoments<Real>{partial, R, C, chunks, mean.data(), squares.data()});
}

template <class Real>
void batchnorm_finish(const Exec& exec, const BatchnormOptions& options,
                      std::type_identity_t<ConstVector<Real>> squares, Vector<Real> variance, Vector<Real> rstd) {
  static const std::string label = "partita::kernels::batchnorm_finish";
  backend::require_length("batchnorm_finish", "variance", variance.extent(0), "squares", squares.extent(0));
  backend::require_length("batchnorm_finish", "rstd", rstd.extent(0), "squares", squares.extent(0));
  Kokkos::parallel_for(
      label, backend::range_policy(exec, index_t(squares.extent(0))),
      FinishVariance<Real>{{double(options.count), options.epsilon}, squares.data(), variance.data(), rstd.data()});
}

template <class Scalar>
void batchnorm_apply(const Exec& exec, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::batchnorm_apply";
  batch_apply<Scalar>(exec, "batchnorm_apply", label, options, x, gamma, beta, "mean", mean, "rstd", rstd, -1, y);
}

template <class Scalar>
void batchnorm_forward(Context& context, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                       std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                       Matrix<Scalar> y, Vector<accumulate_t<Scalar>> mean, Vector<accumulate_t<Scalar>> variance,
                       Vector<accumulate_t<Scalar>> rstd) {
  BatchnormOptions local = options;
  local.count = index_t(x.extent(0));
  batchnorm_stats<Scalar>(context, local, x, mean, variance);
  batchnorm_finish<accumulate_t<Scalar>>(context.exec(), local, variance, variance, rstd);
  batchnorm_apply<Scalar>(context.exec(), local, x, gamma, beta, mean, rstd, y);
}

template <class Scalar>
void batchnorm_infer(const Exec& exec, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> running_mean,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> running_variance, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::batchnorm_infer";
  batch_apply<Scalar>(exec, "batchnorm_infer", label, options, x, gamma, beta, "running_mean", running_mean,
                      "running_variance", running_variance, options.epsilon, y);
}

#define PARTITA_INSTANTIATE(S, R)                                                                            \
  template void batchnorm_stats<S>(Context&, const BatchnormOptions&, ConstMatrix<S>, Vector<R>, Vector<R>); \
  template void batchnorm_apply<S>(const Exec&, const BatchnormOptions&, ConstMatrix<S>, ConstVector<S>,     \
                                   ConstVector<S>, ConstVector<R>, ConstVector<R>, Matrix<S>);               \
  template void batchnorm_forward<S>(Context&, const BatchnormOptions&, ConstMatrix<S>, ConstVector<S>,      \
                                     ConstVector<S>, Matrix<S>, Vector<R>, Vector<R>, Vector<R>);            \
  template void batchnorm_infer<S>(const Exec&, const BatchnormOptions&, ConstMatrix<S>, ConstVector<S>,     \
                                   ConstVector<S>, ConstVector<R>, ConstVector<R>, Matrix<S>);
PARTITA_INSTANTIATE(float, float)
PARTITA_INSTANTIATE(double, double)
PARTITA_INSTANTIATE(bfloat16, float)
PARTITA_INSTANTIATE(float16, float)
#undef PARTITA_INSTANTIATE
template void batchnorm_finish<float>(const Exec&, const BatchnormOptions&, ConstVector<float>, Vector<float>,
                                      Vector<float>);
template void batchnorm_finish<double>(const Exec&, const BatchnormOptions&, ConstVector<double>, Vector<double>,
                                       Vector<double>);

}  // namespace partita::kernels
