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
using backend::require_elements;
using backend::scaled;
using backend::store;
using backend::stride_of;
using backend::where_positive;

/// Rows of a task of a kernel that works element by element: any number is right.
constexpr index_t element_rows = backend::runs_on_host ? 256 : 8;

/// Per chunk: sums of dz and of dz (x - mean).
template <class Scalar, bool relu>
struct SlopeSums {
  using Real = accumulate_t<Scalar>;
  const Scalar* x;
  index_t x_stride;
  const Scalar* y;
  index_t y_stride;
  const Real* mean;
  const Scalar* dy;
  index_t dy_stride, columns;
  Real* partial;  // (chunks, 2, columns)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t end, index_t c) const {
    const Value m = load<Value>(mean + c);
    Value sum{}, product{};
    for (index_t r = begin; r < end; ++r) {
      Value dz = load<Value>(dy + r * dy_stride + c);
      if constexpr (relu) dz = where_positive(load<Value>(y + r * y_stride + c), dz);
      sum = sum + dz;
      product = product + dz * (load<Value>(x + r * x_stride + c) - m);
    }
    Real* const to = partial + begin / batchnorm_chunk * 2 * columns + c;
    store(sum, to);
    store(product, to + columns);
  }
};

template <class Real>
struct FinishSlopes {
  const Real* partial;
  index_t columns, chunks;
  const Real* rstd;
  Real *dgamma, *dbeta;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    double sum = 0, product = 0;
    for (index_t chunk = 0; chunk < chunks; ++chunk) {
      sum += double(partial[2 * chunk * columns + c]);
      product += double(partial[(2 * chunk + 1) * columns + c]);
    }
    dgamma[c] = Real(product * double(rstd[c]));
    dbeta[c] = Real(sum);
  }
};

/// The same from sums of blocks.
template <class Real>
struct FinishBlocks {
  const double* partial;  // (leaves, 2, columns)
  index_t columns, leaves;
  const Real* rstd;
  Real *dgamma, *dbeta;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    const auto tree = [&](index_t s) {
      return backend::tree_of<double>(leaves, [&](index_t leaf) { return partial[(2 * leaf + s) * columns + c]; });
    };
    dgamma[c] = Real(tree(1) * double(rstd[c]));
    dbeta[c] = Real(tree(0));
  }
};

template <class Scalar, bool relu>
struct Slopes {
  using Real = accumulate_t<Scalar>;
  const Scalar* x;
  index_t x_stride;
  const Scalar* y;
  index_t y_stride;
  const Scalar* gamma;
  const Real *mean, *rstd, *dgamma, *dbeta;
  Real inverse_count;
  const Scalar* dy;
  index_t dy_stride;
  Scalar* dx;
  index_t dx_stride;

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t end, index_t c) const {
    const Value m = load<Value>(mean + c), s = load<Value>(rstd + c), factor = load<Value>(gamma + c) * s;
    const Value shift = scaled(load<Value>(dbeta + c), inverse_count);
    const Value tilt = scaled(load<Value>(dgamma + c) * s, inverse_count);
    for (index_t r = begin; r < end; ++r) {
      Value dz = load<Value>(dy + r * dy_stride + c);
      if constexpr (relu) dz = where_positive(load<Value>(y + r * y_stride + c), dz);
      const Value d = load<Value>(x + r * x_stride + c) - m;
      store(factor * (dz - shift - d * tilt), dx + r * dx_stride + c);
    }
  }
};

constexpr const char* as_columns = "the columns of x";

}  // namespace

template <class Scalar>
void batchnorm_backward_sums(Context& context, const BatchnormOptions& options,
                             std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> y,
                             std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                             std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                             std::type_identity_t<ConstMatrix<Scalar>> dy, Vector<accumulate_t<Scalar>> dgamma,
                             Vector<accumulate_t<Scalar>> dbeta) {
  using Real = accumulate_t<Scalar>;
  static const std::string chunks_label = "partita::kernels::batchnorm_backward_sums::chunks";
  static const std::string label = "partita::kernels::batchnorm_backward_sums";
  const index_t R = index_t(x.extent(0)), C = index_t(x.extent(1));
  backend::require_like_x("batchnorm_backward_sums", "dy", dy, x);
  if (options.relu) backend::require_like_x("batchnorm_backward_sums", "y", y, x);
  require_elements("batchnorm_backward_sums", "mean", mean, C, as_columns);
  require_elements("batchnorm_backward_sums", "rstd", rstd, C, as_columns);
  require_elements("batchnorm_backward_sums", "dgamma", dgamma, C, as_columns);
  require_elements("batchnorm_backward_sums", "dbeta", dbeta, C, as_columns);
  const index_t leaves = backend::leaves_of_images("batchnorm_backward_sums", options.rows, options.pixels, R);
  if (leaves > 1) {
    const index_t pixels = options.pixels;
    double* const partial = static_cast<double*>(context.scratch(std::size_t(2 * leaves * C) * sizeof(double)));
    const auto at = [pixels](const Scalar* data, index_t stride) -> backend::PixelAt<Scalar> {
      return {data, pixels * stride, stride};
    };
    const auto x_at = at(x.data(), stride_of(x)), dy_at = at(dy.data(), stride_of(dy));
    const backend::StatisticAt<Real> mean_at{mean.data(), 0, 1};
    const auto sums = [&](const auto& body) {
      backend::leaf_sums(context.exec(), chunks_label, 1, R / pixels, pixels, leaves, C, body, partial);
    };
    if (options.relu)
      sums(backend::SlopesOfPixels<Scalar, true>{x_at, at(y.data(), stride_of(y)), dy_at, mean_at});
    else
      sums(backend::SlopesOfPixels<Scalar, false>{x_at, {}, dy_at, mean_at});
    Kokkos::parallel_for(label, backend::range_policy(context.exec(), C),
                         FinishBlocks<Real>{partial, C, leaves, rstd.data(), dgamma.data(), dbeta.data()});
    return;
  }
  const index_t chunks = (R + batchnorm_chunk - 1) / batchnorm_chunk;
  Real* const partial = static_cast<Real*>(context.scratch(std::size_t(2 * chunks * C) * sizeof(Real)));
  const auto run = [&](auto kernel) {
    backend::for_columns<Real>(context.exec(), chunks_label, R, C, batchnorm_chunk, kernel);
  };
  if (options.relu)
    run(SlopeSums<Scalar, true>{x.data(), stride_of(x), y.data(), stride_of(y), mean.data(), dy.data(), stride_of(dy),
                                C, partial});
  else
    run(SlopeSums<Scalar, false>{x.data(), stride_of(x), nullptr, 0, mean.data(), dy.data(), stride_of(dy), C,
                                 partial});
  Kokkos::parallel_for(label, backend::range_policy(context.exec(), C),
                       FinishSlopes<Real>{partial, C, chunks, rstd.data(), dgamma.data(), dbeta.data()});
}

template <class Scalar>
void batchnorm_backward_input(const Exec& exec, const BatchnormOptions& options,
                              std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> y,
                              std::type_identity_t<ConstVector<Scalar>> gamma,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> dgamma,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> dbeta,
                              std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  using Real = accumulate_t<Scalar>;
  static const std::string label = "partita::kernels::batchnorm_backward_input";
  const index_t R = index_t(x.extent(0)), C = index_t(x.extent(1));
  backend::require_like_x("batchnorm_backward_input", "dy", dy, x);
  backend::require_like_x("batchnorm_backward_input", "dx", dx, x);
  if (options.relu) backend::require_like_x("batchnorm_backward_input", "y", y, x);
  require_elements("batchnorm_backward_input", "gamma", gamma, C, as_columns);
  require_elements("batchnorm_backward_input", "mean", mean, C, as_columns);
  require_elements("batchnorm_backward_input", "rstd", rstd, C, as_columns);
  require_elements("batchnorm_backward_input", "dgamma", dgamma, C, as_columns);
  require_elements("batchnorm_backward_input", "dbeta", dbeta, C, as_columns);
  const Real inverse = R == 0 ? Real(0) : Real(1 / double(options.count > 0 ? options.count : R));
  const auto run = [&](auto kernel) { backend::for_columns<Real>(exec, label, R, C, element_rows, kernel); };
  if (options.relu)
    run(Slopes<Scalar, true>{x.data(), stride_of(x), y.data(), stride_of(y), gamma.data(), mean.data(), rstd.data(),
                             dgamma.data(), dbeta.data(), inverse, dy.data(), stride_of(dy), dx.data(), stride_of(dx)});
  else
    run(Slopes<Scalar, false>{x.data(), stride_of(x), nullptr, 0, gamma.data(), mean.data(), rstd.data(), dgamma.data(),
                              dbeta.data(), inverse, dy.data(), stride_of(dy), dx.data(), stride_of(dx)});
}

#define PARTITA_INSTANTIATE(S, R)                                                                                 \
  template void batchnorm_backward_sums<S>(Context&, const BatchnormOptions&, ConstMatrix<S>, ConstMatrix<S>,     \
                                           ConstVector<R>, ConstVector<R>, ConstMatrix<S>, Vector<R>, Vector<R>); \
  template void batchnorm_backward_input<S>(const Exec&, const BatchnormOptions&, ConstMatrix<S>, ConstMatrix<S>, \
                                            ConstVector<S>, ConstVector<R>, ConstVector<R>, ConstVector<R>,       \
                                            ConstVector<R>, ConstMatrix<S>, Matrix<S>);
PARTITA_INSTANTIATE(float, float)
PARTITA_INSTANTIATE(double, double)
PARTITA_INSTANTIATE(bfloat16, float)
PARTITA_INSTANTIATE(float16, float)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
