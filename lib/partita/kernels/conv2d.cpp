// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/conv2d.hpp>

#include <partita/kernels/backend/choose.hpp>
#include <partita/kernels/backend/conv_calls.hpp>
#include <partita/kernels/backend/conv_device.hpp>
#include <partita/kernels/backend/conv_host.hpp>
#include <partita/kernels/backend/conv_vendor.hpp>

namespace partita::kernels {
namespace {

using backend::ConvLabels;
using backend::Images;
using backend::images;

template <class Scalar>
void correlate(Context& context, const ConvLabels& labels, index_t B, const backend::Correlation& g,
               Images<const Scalar> in, backend::Taps<Scalar> taps, const Scalar* bias, Images<Scalar> out) {
  if constexpr (backend::runs_on_host)
    backend::host::correlate<Scalar>(context, labels, B, g, in, taps, bias, out);
  else
    backend::device::correlate<Scalar>(context, labels, B, g, in, taps, bias, out);
}

/// dx as one correlation of dy for each phase of its pixels.
template <class Scalar>
void correlate_backward(Context& context, const ConvLabels& labels, const Conv2dShape& s, const ConstMatrix<Scalar>& dy,
                        const ConstMatrix<Scalar>& W, const Matrix<Scalar>& dx) {
  for (index_t row_phase = 0; row_phase < s.stride; ++row_phase)
    for (index_t column_phase = 0; column_phase < s.stride; ++column_phase) {
      const backend::Phase row = backend::phase_of_rows(s, row_phase);
      const backend::Phase column = backend::phase_of_columns(s, column_phase);
      correlate<Scalar>(context, labels, index_t(dx.extent(0)), backend::backward_correlation(s, row, column),
                        images(dy.data(), dy.stride(0), s.out_rows(), s.out_columns(), s.filters),
                        backend::backward_taps(s, row, column, W.data(), index_t(W.stride(0))),
                        static_cast<const Scalar*>(nullptr),
                        images(dx.data(), dx.stride(0), s.rows, s.columns, s.channels));
    }
}

}  // namespace

template <class Scalar>
void conv2d_forward(Context& context, const Conv2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> x,
                    std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstVector<Scalar>> b,
                    Matrix<Scalar> y) {
  static const ConvLabels labels("partita::kernels::conv2d_forward");
  backend::require_convolved("conv2d_forward", s, "x", x, "y", y);
  backend::require_weights("conv2d_forward", s, "W", W);
  backend::require_bias("conv2d_forward", s, "b", b);
  const auto run = [&](Backend by) {
    if constexpr (std::is_same_v<Scalar, float>)
      if (by == Backend::vendor) return context.conv_vendor().forward(context, s, x, W, b, y);
    correlate<Scalar>(context, labels, index_t(x.extent(0)), backend::forward_correlation(s),
                      images(x.data(), x.stride(0), s.rows, s.columns, s.channels),
                      backend::forward_taps(s, W.data(), index_t(W.stride(0))), b.extent(0) > 0 ? b.data() : nullptr,
                      images(y.data(), y.stride(0), s.out_rows(), s.out_columns(), s.filters));
    return true;
  };
  backend::run_chosen<Scalar>(context, backend::shape_of(Call::conv2d_forward, x.extent(0), s),
                              backend::vendor_convolves(s, x, W, y), run);
}

template <class Scalar>
void conv2d_backward_input(Context& context, const Conv2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> dy,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> dx) {
  static const ConvLabels labels("partita::kernels::conv2d_backward_input");
  backend::require_convolved("conv2d_backward_input", s, "dx", dx, "dy", dy);
  backend::require_weights("conv2d_backward_input", s, "W", W);
  const auto run = [&](Backend by) {
    if constexpr (std::is_same_v<Scalar, float>)
      if (by == Backend::vendor) return context.conv_vendor().backward_input(context, s, dy, W, dx);
    correlate_backward<Scalar>(context, labels, s, dy, W, dx);
    return true;
  };
  backend::run_chosen<Scalar>(context, backend::shape_of(Call::conv2d_backward_input, dy.extent(0), s),
                              backend::vendor_convolves(s, dy, W, dx), run);
}

#define PARTITA_INSTANTIATE(Scalar)                                                                                   \
  template void conv2d_forward<Scalar>(Context&, const Conv2dShape&, ConstMatrix<Scalar>, ConstMatrix<Scalar>,        \
                                       ConstVector<Scalar>, Matrix<Scalar>);                                          \
  template void conv2d_backward_input<Scalar>(Context&, const Conv2dShape&, ConstMatrix<Scalar>, ConstMatrix<Scalar>, \
                                              Matrix<Scalar>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
