// SPDX-License-Identifier: BSD-3-Clause
#include <string>

#include <partita/kernels/backend/batch_norm.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/batchnorm.hpp>

namespace partita::kernels {
namespace {

using backend::load;
using backend::scaled;
using backend::stride_of;

/// Rows of a task of a kernel that works element by element: any number is right.
constexpr index_t batch_slope_rows = backend::runs_on_host ? 256 : 8;

/// Operands that all of backward reads; y with relu only.
template <class Scalar, bool relu>
struct BatchOperands {
  const Scalar* x;
  index_t x_stride;
  const Scalar* y;
  index_t y_stride;
  const Scalar* dy;
  index_t dy_stride;

  KOKKOS_FORCEINLINE_FUNCTION backend::Channel<const Scalar> x_at(index_t r, index_t c) const {
    return {x + r * x_stride + c, x_stride};
  }
  KOKKOS_FORCEINLINE_FUNCTION backend::ChannelSlope<Scalar, relu> dz_at(index_t r, index_t c) const {
    return {{relu ? y + r * y_stride + c : nullptr, y_stride}, {dy + r * dy_stride + c, dy_stride}};
  }
};

/// Per chunk: sums of dz and of dz (x - mean).
template <class Scalar, bool relu>
struct BatchSlopeSums {
  using Real = accumulate_t<Scalar>;
  BatchOperands<Scalar, relu> in;
  const Real* mean;
  index_t columns;
  Real* partial;  // (chunks, 2, columns)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t end, index_t c) const {
    Real* const to = partial + begin / batchnorm_chunk * 2 * columns + c;
    backend::slope_sums<Value>(in.x_at(begin, c), in.dz_at(begin, c), end - begin, load<Value>(mean + c), to,
                               to + columns);
  }
};

/// Sum s of a column: chunk after chunk.
template <class Real>
struct ChunkChain {
  const Real* partial;  // (chunks, 2, columns)
  index_t columns, chunks;

  KOKKOS_FUNCTION double operator()(index_t s, index_t c) const {
    double sum = 0;
    for (index_t chunk = 0; chunk < chunks; ++chunk) sum += double(partial[(2 * chunk + s) * columns + c]);
    return sum;
  }
};

/// dx = gamma rstd (dz - dbeta / count - (x - mean) (rstd dgamma / count)).
template <class Scalar, bool relu>
struct BatchSlopes {
  using Real = accumulate_t<Scalar>;
  BatchOperands<Scalar, relu> in;
  const Scalar* gamma;
  const Real *mean, *rstd, *dgamma, *dbeta;
  Real inverse_count;
  Scalar* dx;
  index_t dx_stride;

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t end, index_t c) const {
    const Value mean_c = load<Value>(mean + c), rstd_c = load<Value>(rstd + c);
    const Value gamma_rstd = load<Value>(gamma + c) * rstd_c;
    const Value dz_mean = scaled(load<Value>(dbeta + c), inverse_count);
    const Value dz_n_mean = scaled(load<Value>(dgamma + c) * rstd_c, inverse_count);  // with another rstd
    const backend::Channel<const Scalar> x = in.x_at(begin, c);
    const backend::ChannelSlope<Scalar, relu> dz = in.dz_at(begin, c);
    const backend::Channel<Scalar> to{dx + begin * dx_stride + c, dx_stride};
    for (index_t i = 0; i < end - begin; ++i) {
      const Value d = load<Value>(x.at(i)) - mean_c;
      backend::store(gamma_rstd * (dz.template at<Value>(i) - dz_mean - d * dz_n_mean), to.at(i));
    }
  }
};

/// Calls run(operands) with relu as a constant.
template <class Scalar, class Run>
void with_batch_operands(bool relu, const ConstMatrix<Scalar>& x, const ConstMatrix<Scalar>& y,
                         const ConstMatrix<Scalar>& dy, const Run& run) {
  if (relu)
    run(BatchOperands<Scalar, true>{x.data(), stride_of(x), y.data(), stride_of(y), dy.data(), stride_of(dy)});
  else
    run(BatchOperands<Scalar, false>{x.data(), stride_of(x), nullptr, 0, dy.data(), stride_of(dy)});
}

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
  backend::require_batch<Scalar>(
      "batchnorm_backward_sums", options, x, y, dy,
      {{"mean", mean.extent(0)}, {"rstd", rstd.extent(0)}, {"dgamma", dgamma.extent(0)}, {"dbeta", dbeta.extent(0)}});
  const index_t leaves = backend::leaves_of_images("batchnorm_backward_sums", options.rows, options.pixels, R);
  const Exec& exec = context.exec();
  if (leaves > 1) {
    double* const partial = static_cast<double*>(context.scratch(std::size_t(2 * leaves * C) * sizeof(double)));
    backend::batch_slope_leaves<Scalar>(exec, chunks_label, options, leaves, x, y, mean.data(), dy, partial);
    return backend::finish_batch_slopes<Real>(exec, label, backend::LeafTree{{0, leaves}, partial, 2, C}, rstd, dgamma,
                                              dbeta);
  }
  const index_t chunks = (R + batchnorm_chunk - 1) / batchnorm_chunk;
  Real* const partial = static_cast<Real*>(context.scratch(std::size_t(2 * chunks * C) * sizeof(Real)));
  with_batch_operands<Scalar>(options.relu, x, y, dy, [&]<bool relu>(const BatchOperands<Scalar, relu>& in) {
    backend::for_columns<Real>(exec, chunks_label, R, C, batchnorm_chunk,
                               BatchSlopeSums<Scalar, relu>{in, mean.data(), C, partial});
  });
  backend::finish_batch_slopes<Real>(exec, label, ChunkChain<Real>{partial, C, chunks}, rstd, dgamma, dbeta);
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
  backend::require_batch<Scalar>("batchnorm_backward_input", options, x, y, dy,
                                 {{"gamma", gamma.extent(0)},
                                  {"mean", mean.extent(0)},
                                  {"rstd", rstd.extent(0)},
                                  {"dgamma", dgamma.extent(0)},
                                  {"dbeta", dbeta.extent(0)}});
  backend::require_shape("batchnorm_backward_input", "dx", dx, "x", x, "(R, C)");
  const Real inverse_count = R == 0 ? Real(0) : Real(1 / double(options.count > 0 ? options.count : R));
  with_batch_operands<Scalar>(options.relu, x, y, dy, [&]<bool relu>(const BatchOperands<Scalar, relu>& in) {
    backend::for_columns<Real>(exec, label, R, C, batch_slope_rows,
                               BatchSlopes<Scalar, relu>{in, gamma.data(), mean.data(), rstd.data(), dgamma.data(),
                                                         dbeta.data(), inverse_count, dx.data(), stride_of(dx)});
  });
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
