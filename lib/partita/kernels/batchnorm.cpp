// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/image_sums.hpp>
#include <partita/kernels/backend/pack.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/batchnorm.hpp>
#include <string>

namespace partita::kernels {
namespace {

using backend::load;
using backend::rectified;
using backend::require_elements;
using backend::scaled;
using backend::store;
using backend::stride_of;

/// Rows of a task of a kernel that works element by element: any number is right.
constexpr index_t element_rows = backend::runs_on_host ? 256 : 8;

/// Per chunk: sums, then sums of squares about the chunk's own mean.
template <class Scalar>
struct Moments {
  using Real = accumulate_t<Scalar>;
  const Scalar* x;
  index_t stride, columns;
  Real* partial;  // (chunks, 2, columns)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t end, index_t c) const {
    const Scalar* const from = x + c;
    Value sum = load<Value>(from + begin * stride);
    for (index_t r = begin + 1; r < end; ++r) sum = sum + load<Value>(from + r * stride);
    Real* const to = partial + begin / batchnorm_chunk * 2 * columns + c;
    store(sum, to);
    const Value mean = scaled(sum, Real(1) / Real(end - begin));
    Value squares{};
    for (index_t r = begin; r < end; ++r) {
      const Value d = load<Value>(from + r * stride) - mean;
      squares = squares + d * d;
    }
    store(squares, to + columns);
  }
};

/// Puts the chunks of a column together.
template <class Real>
struct FinishMoments {
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

/// The mean from the sums of blocks, and unrounded.
template <class Real>
struct FinishMean {
  const double* partial;  // (leaves, columns)
  index_t rows, columns, leaves;
  double* unrounded;
  Real* mean;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    const double sum = backend::tree_of<double>(leaves, [&](index_t leaf) { return partial[leaf * columns + c]; });
    unrounded[c] = rows > 0 ? sum / double(rows) : 0.0;
    mean[c] = Real(unrounded[c]);
  }
};

template <class Real>
struct FinishSquares {
  const double* partial;  // (leaves, columns)
  index_t columns, leaves;
  Real* squares;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    squares[c] = Real(backend::tree_of<double>(leaves, [&](index_t leaf) { return partial[leaf * columns + c]; }));
  }
};

template <class Real>
struct Finish {
  double count, epsilon;
  const Real* squares;
  Real *variance, *rstd;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    const double sum = double(squares[c]), biased = count > 0 ? sum / count : 0.0;
    variance[c] = Real(count > 1 ? sum / (count - 1) : biased);
    rstd[c] = Real(1 / Kokkos::sqrt(biased + epsilon));
  }
};

/// y = (x - mean) (gamma rstd) + beta; rstd from a variance where `epsilon` is not negative.
template <class Scalar, bool relu>
struct Apply {
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
    const Value m = load<Value>(mean + c), b = load<Value>(beta + c);
    const Value factor = load<Value>(gamma + c) * (epsilon < Real(0) ? load<Value>(rstd + c) : from_variance<Value>(c));
    for (index_t r = begin; r < end; ++r) {
      const Value z = (load<Value>(x + r * x_stride + c) - m) * factor + b;
      if constexpr (relu)
        store(rectified(z), y + r * y_stride + c);
      else
        store(z, y + r * y_stride + c);
    }
  }
  template <class Value>
  KOKKOS_FUNCTION Value from_variance(index_t c) const {
    constexpr index_t width = index_t(sizeof(Value) / sizeof(Real));
    Real root[width];
    for (index_t j = 0; j < width; ++j) root[j] = Real(1 / Kokkos::sqrt(double(rstd[c + j]) + double(epsilon)));
    return load<Value>(root);
  }
};

constexpr const char* as_columns = "the columns of x";

template <class Scalar>
void apply(const Exec& exec, const std::string& label, bool relu, ConstMatrix<Scalar> x, ConstVector<Scalar> gamma,
           ConstVector<Scalar> beta, ConstVector<accumulate_t<Scalar>> mean, ConstVector<accumulate_t<Scalar>> rstd,
           double epsilon, Matrix<Scalar> y) {
  using Real = accumulate_t<Scalar>;
  const index_t R = index_t(x.extent(0)), C = index_t(x.extent(1));
  const auto run = [&](auto kernel) { backend::for_columns<Real>(exec, label, R, C, element_rows, kernel); };
  if (relu)
    run(Apply<Scalar, true>{x.data(), stride_of(x), gamma.data(), beta.data(), mean.data(), rstd.data(), Real(epsilon),
                            y.data(), stride_of(y)});
  else
    run(Apply<Scalar, false>{x.data(), stride_of(x), gamma.data(), beta.data(), mean.data(), rstd.data(), Real(epsilon),
                             y.data(), stride_of(y)});
}

/// Mean and squares as trees over blocks of pixels.
template <class Scalar>
void stats_in_blocks(Context& context, index_t leaves, index_t pixels, ConstMatrix<Scalar> x,
                     accumulate_t<Scalar>* mean, accumulate_t<Scalar>* squares) {
  using Real = accumulate_t<Scalar>;
  static const std::string sums_label = "partita::kernels::batchnorm_stats::leaves";
  static const std::string label = "partita::kernels::batchnorm_stats";
  const index_t R = index_t(x.extent(0)), C = index_t(x.extent(1)), images = R / pixels;
  const Exec& exec = context.exec();
  double* const partial = static_cast<double*>(context.scratch(std::size_t((leaves + 1) * C) * sizeof(double)));
  double* const unrounded = partial + leaves * C;
  const backend::PixelAt<Scalar> at{x.data(), pixels * stride_of(x), stride_of(x)};
  backend::leaf_sums(exec, sums_label, 1, images, pixels, leaves, C, backend::SumOfPixels<Scalar>{at}, partial);
  Kokkos::parallel_for(label, backend::range_policy(exec, C), FinishMean<Real>{partial, R, C, leaves, unrounded, mean});
  backend::leaf_sums(exec, sums_label, 1, images, pixels, leaves, C,
                     backend::SquaresOfPixels<Scalar>{at, {unrounded, 0, 1}}, partial);
  Kokkos::parallel_for(label, backend::range_policy(exec, C), FinishSquares<Real>{partial, C, leaves, squares});
}

}  // namespace

template <class Scalar>
void batchnorm_stats(Context& context, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     Vector<accumulate_t<Scalar>> mean, Vector<accumulate_t<Scalar>> squares) {
  using Real = accumulate_t<Scalar>;
  static const std::string chunks_label = "partita::kernels::batchnorm_stats::chunks";
  static const std::string label = "partita::kernels::batchnorm_stats";
  const index_t R = index_t(x.extent(0)), C = index_t(x.extent(1));
  require_elements("batchnorm_stats", "mean", mean, C, as_columns);
  require_elements("batchnorm_stats", "squares", squares, C, as_columns);
  const index_t leaves = backend::leaves_of_images("batchnorm_stats", options.rows, options.pixels, R);
  if (leaves > 1) return stats_in_blocks<Scalar>(context, leaves, options.pixels, x, mean.data(), squares.data());
  const index_t chunks = (R + batchnorm_chunk - 1) / batchnorm_chunk;
  Real* const partial = static_cast<Real*>(context.scratch(std::size_t(2 * chunks * C) * sizeof(Real)));
  backend::for_columns<Real>(context.exec(), chunks_label, R, C, batchnorm_chunk,
                             Moments<Scalar>{x.data(), stride_of(x), C, partial});
  Kokkos::parallel_for(label, backend::range_policy(context.exec(), C),
                       FinishMoments<Real>{partial, R, C, chunks, mean.data(), squares.data()});
}

template <class Real>
void batchnorm_finish(const Exec& exec, const BatchnormOptions& options,
                      std::type_identity_t<ConstVector<Real>> squares, Vector<Real> variance, Vector<Real> rstd) {
  static const std::string label = "partita::kernels::batchnorm_finish";
  const std::size_t C = squares.extent(0);
  constexpr const char* as_squares = "the elements of squares";
  require_elements("batchnorm_finish", "variance", variance, C, as_squares);
  require_elements("batchnorm_finish", "rstd", rstd, C, as_squares);
  Kokkos::parallel_for(
      label, backend::range_policy(exec, index_t(C)),
      Finish<Real>{double(options.count), options.epsilon, squares.data(), variance.data(), rstd.data()});
}

template <class Scalar>
void batchnorm_apply(const Exec& exec, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::batchnorm_apply";
  const std::size_t C = x.extent(1);
  backend::require_like_x("batchnorm_apply", "y", y, x);
  require_elements("batchnorm_apply", "gamma", gamma, C, as_columns);
  require_elements("batchnorm_apply", "beta", beta, C, as_columns);
  require_elements("batchnorm_apply", "mean", mean, C, as_columns);
  require_elements("batchnorm_apply", "rstd", rstd, C, as_columns);
  apply<Scalar>(exec, label, options.relu, x, gamma, beta, mean, rstd, -1, y);
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
  const std::size_t C = x.extent(1);
  backend::require_like_x("batchnorm_infer", "y", y, x);
  require_elements("batchnorm_infer", "gamma", gamma, C, as_columns);
  require_elements("batchnorm_infer", "beta", beta, C, as_columns);
  require_elements("batchnorm_infer", "running_mean", running_mean, C, as_columns);
  require_elements("batchnorm_infer", "running_variance", running_variance, C, as_columns);
  apply<Scalar>(exec, label, options.relu, x, gamma, beta, running_mean, running_variance, options.epsilon, y);
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
