// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/softmax.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/rows.hpp>
#include <partita/kernels/math.hpp>

namespace partita::kernels {
namespace {

template <class Scalar>
struct SoftmaxForward {
  using A = accumulate_t<Scalar>;
  index_t C, x_leading, y_leading;
  const Scalar* x;
  Scalar* y;

  template <class Row>
  KOKKOS_INLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const Scalar* const x_b = x + b * x_leading;
    Scalar* const y_b = y + b * y_leading;
    const A top = row.template most<A>(C, [=](index_t c) { return A(x_b[c]); });
    if constexpr (std::is_same_v<A, Scalar>) {
      const A sum = row.template sum<A>(C, [=](index_t c) { return y_b[c] = math::exp(x_b[c] - top); });
      const A share = A(1) / sum;
      row.each(C, [=](index_t c) { y_b[c] *= share; });
    } else {  // 16 bits round once
      const A share = A(1) / row.template sum<A>(C, [=](index_t c) { return math::exp(A(x_b[c]) - top); });
      row.each(C, [=](index_t c) { y_b[c] = Scalar(math::exp(A(x_b[c]) - top) * share); });
    }
  }
};

template <class Scalar>
struct SoftmaxBackward {
  using A = accumulate_t<Scalar>;
  index_t C, y_leading, dy_leading, dx_leading;
  const Scalar *y, *dy;
  Scalar* dx;

  template <class Row>
  KOKKOS_INLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const Scalar *const y_b = y + b * y_leading, *const dy_b = dy + b * dy_leading;
    Scalar* const dx_b = dx + b * dx_leading;
    const A y_dy = row.template sum<A>(C, [=](index_t c) { return A(y_b[c]) * A(dy_b[c]); });
    row.each(C, [=](index_t c) { dx_b[c] = Scalar(A(y_b[c]) * (A(dy_b[c]) - y_dy)); });
  }
};

}  // namespace

template <class Scalar>
void softmax_forward(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::softmax_forward";
  backend::require_shape("softmax_forward", "y", y, "x", x, "(B, C)");
  backend::for_rows<accumulate_t<Scalar>>(
      exec, label, index_t(x.extent(0)),
      SoftmaxForward<Scalar>{index_t(x.extent(1)), index_t(x.stride(0)), index_t(y.stride(0)), x.data(), y.data()});
}

template <class Scalar>
void softmax_backward(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> y,
                      std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::softmax_backward";
  backend::require_shape("softmax_backward", "dy", dy, "y", y, "(B, C)");
  backend::require_shape("softmax_backward", "dx", dx, "y", y, "(B, C)");
  backend::for_rows<accumulate_t<Scalar>>(
      exec, label, index_t(y.extent(0)),
      SoftmaxBackward<Scalar>{index_t(y.extent(1)), index_t(y.stride(0)), index_t(dy.stride(0)), index_t(dx.stride(0)),
                              y.data(), dy.data(), dx.data()});
}

#define PARTITA_SOFTMAX(Scalar)                                                            \
  template void softmax_forward<Scalar>(const Exec&, ConstMatrix<Scalar>, Matrix<Scalar>); \
  template void softmax_backward<Scalar>(const Exec&, ConstMatrix<Scalar>, ConstMatrix<Scalar>, Matrix<Scalar>)
PARTITA_SOFTMAX(float);
PARTITA_SOFTMAX(double);
PARTITA_SOFTMAX(bfloat16);
PARTITA_SOFTMAX(float16);
#undef PARTITA_SOFTMAX

}  // namespace partita::kernels
