// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/vendor.hpp>
#include <partita/kernels/linear.hpp>
#include <string>

namespace partita::kernels {
namespace {

using backend::GemmLabels;
using backend::Operand;

template <class Scalar>
Operand<Scalar> plain(const ConstMatrix<Scalar>& a) {
  return {a.data(), index_t(a.stride(0)), 1};
}

template <class Scalar>
Operand<Scalar> transposed(const ConstMatrix<Scalar>& a) {
  return {a.data(), 1, index_t(a.stride(0))};
}

void require(const char* function, const char* a, const char* of_a, std::size_t has, const char* b, const char* of_b,
             std::size_t other, const char* expected) {
  if (has == other) return;
  throw ShapeError(std::string(function) + ": " + a + " has " + std::to_string(has) + " " + of_a + ", " + b + " has " +
                   std::to_string(other) + " " + of_b + ": expected " + expected);
}

template <class Scalar>
bool use_vendor(const Context& context, std::size_t B, std::size_t N, std::size_t K) {
  return std::is_same_v<Scalar, float> && B > 0 && N > 0 && K > 0 && context.backend(Kernel::linear) == Backend::vendor;
}

}  // namespace

template <class Scalar>
void linear_forward(Context& context, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> x,
                    std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstVector<Scalar>> b,
                    Matrix<Scalar> y) {
  static const GemmLabels labels("partita::kernels::linear_forward");
  const std::size_t B = x.extent(0), N = W.extent(0), K = x.extent(1);
  require("linear_forward", "W", "columns", W.extent(1), "x", "columns", K, "W (N, K) and x (B, K) with the same K");
  require("linear_forward", "b", "elements", b.extent(0), "W", "rows", N, "b (N) and W (N, K) with the same N");
  require("linear_forward", "y", "rows", y.extent(0), "x", "rows", B, "y (B, N) and x (B, K) with the same B");
  require("linear_forward", "y", "columns", y.extent(1), "W", "rows", N, "y (B, N) and W (N, K) with the same N");
  if constexpr (std::is_same_v<Scalar, float>)
    if (use_vendor<Scalar>(context, B, N, K)) return context.vendor().linear_forward(context, activation, x, W, b, y);
  backend::portable_gemm<Scalar>(context, labels, index_t(B), index_t(N), index_t(K), plain<Scalar>(x),
                                 transposed<Scalar>(W), {b.data(), activation}, y.data(), index_t(y.stride(0)));
}

template <class Scalar>
void linear_backward_input(Context& context, std::type_identity_t<ConstMatrix<Scalar>> dy,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> dx) {
  static const GemmLabels labels("partita::kernels::linear_backward_input");
  const std::size_t B = dy.extent(0), N = W.extent(0), K = W.extent(1);
  require("linear_backward_input", "dy", "columns", dy.extent(1), "W", "rows", N,
          "dy (B, N) and W (N, K) with the same N");
  require("linear_backward_input", "dx", "rows", dx.extent(0), "dy", "rows", B,
          "dx (B, K) and dy (B, N) with the same B");
  require("linear_backward_input", "dx", "columns", dx.extent(1), "W", "columns", K,
          "dx (B, K) and W (N, K) with the same K");
  if constexpr (std::is_same_v<Scalar, float>)
    if (use_vendor<Scalar>(context, B, N, K)) return context.vendor().linear_backward_input(context, dy, W, dx);
  backend::portable_gemm<Scalar>(context, labels, index_t(B), index_t(K), index_t(N), plain<Scalar>(dy),
                                 plain<Scalar>(W), {}, dx.data(), index_t(dx.stride(0)));
}

template <class Scalar>
void linear_backward_weights(Context& context, std::type_identity_t<ConstMatrix<Scalar>> x,
                             std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dW, Vector<Scalar> db) {
  static const GemmLabels labels("partita::kernels::linear_backward_weights");
  const std::size_t B = x.extent(0), N = dy.extent(1), K = x.extent(1);
  require("linear_backward_weights", "dy", "rows", dy.extent(0), "x", "rows", B,
          "dy (B, N) and x (B, K) with the same B");
  require("linear_backward_weights", "dW", "rows", dW.extent(0), "dy", "columns", N,
          "dW (N, K) and dy (B, N) with the same N");
  require("linear_backward_weights", "dW", "columns", dW.extent(1), "x", "columns", K,
          "dW (N, K) and x (B, K) with the same K");
  require("linear_backward_weights", "db", "elements", db.extent(0), "dy", "columns", N,
          "db (N) and dy (B, N) with the same N");
  if constexpr (std::is_same_v<Scalar, float>)
    if (use_vendor<Scalar>(context, B, N, K)) return context.vendor().linear_backward_weights(context, x, dy, dW, db);
  backend::portable_gemm<Scalar>(context, labels, index_t(N), index_t(K), index_t(B), transposed<Scalar>(dy),
                                 plain<Scalar>(x), {}, dW.data(), index_t(dW.stride(0)));
  backend::column_sum<Scalar>(context.exec(), dy, db);
}

template void linear_forward<float>(Context&, Activation, ConstMatrix<float>, ConstMatrix<float>, ConstVector<float>,
                                    Matrix<float>);
template void linear_forward<double>(Context&, Activation, ConstMatrix<double>, ConstMatrix<double>,
                                     ConstVector<double>, Matrix<double>);
template void linear_backward_input<float>(Context&, ConstMatrix<float>, ConstMatrix<float>, Matrix<float>);
template void linear_backward_input<double>(Context&, ConstMatrix<double>, ConstMatrix<double>, Matrix<double>);
template void linear_backward_weights<float>(Context&, ConstMatrix<float>, ConstMatrix<float>, Matrix<float>,
                                             Vector<float>);
template void linear_backward_weights<double>(Context&, ConstMatrix<double>, ConstMatrix<double>, Matrix<double>,
                                              Vector<double>);

}  // namespace partita::kernels
