// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/linear.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/choose.hpp>
#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/vendor.hpp>

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

/// Vendors take whole sums of something.
bool vendor_multiplies(const Blocks& blocks, std::size_t B, std::size_t N, std::size_t K) {
  return blocks.leaves == 1 && B > 0 && N > 0 && K > 0;
}

CallShape shape_of(Call call, std::size_t B, std::size_t N, std::size_t K) {
  return {call, {index_t(B), index_t(N), index_t(K)}};
}

}  // namespace

template <class Scalar>
void linear_forward(Context& context, const LinearOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                    std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstVector<Scalar>> b,
                    Matrix<Scalar> y) {
  static const GemmLabels labels("partita::kernels::linear_forward");
  const std::size_t B = x.extent(0), N = W.extent(0), K = x.extent(1);
  backend::require_extent("linear_forward", "W", "columns", W.extent(1), "x", "columns", K,
                          "W (N, K) and x (B, K) with the same K");
  if (b.extent(0) > 0)
    backend::require_extent("linear_forward", "b", "elements", b.extent(0), "W", "rows", N,
                            "b (N) and W (N, K) with the same N");
  backend::require_extent("linear_forward", "y", "rows", y.extent(0), "x", "rows", B,
                          "y (B, N) and x (B, K) with the same B");
  backend::require_extent("linear_forward", "y", "columns", y.extent(1), "W", "rows", N,
                          "y (B, N) and W (N, K) with the same N");
  backend::require_blocks("linear_forward", "inputs", options.inputs, index_t(K));
  const Scalar* const bias = b.extent(0) == 0 ? nullptr : b.data();
  const auto run = [&](Backend by) {
    if constexpr (std::is_same_v<Scalar, float>)
      if (by == Backend::vendor)
        return context.vendor().linear_forward(context, options.activation, x, W, bias, y), true;
    backend::blocked_gemm<Scalar>(context, labels, index_t(B), index_t(N), index_t(K), plain<Scalar>(x),
                                  transposed<Scalar>(W), options.inputs, {bias, options.activation}, y.data(),
                                  index_t(y.stride(0)));
    return true;
  };
  backend::run_chosen<Scalar>(context, shape_of(Call::linear_forward, B, N, K),
                              vendor_multiplies(options.inputs, B, N, K), run);
}

template <class Scalar>
void linear_backward_input(Context& context, const LinearOptions& options, std::type_identity_t<ConstMatrix<Scalar>> dy,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> dx) {
  static const GemmLabels labels("partita::kernels::linear_backward_input");
  const std::size_t B = dy.extent(0), N = W.extent(0), K = W.extent(1);
  backend::require_extent("linear_backward_input", "dy", "columns", dy.extent(1), "W", "rows", N,
                          "dy (B, N) and W (N, K) with the same N");
  backend::require_extent("linear_backward_input", "dx", "rows", dx.extent(0), "dy", "rows", B,
                          "dx (B, K) and dy (B, N) with the same B");
  backend::require_extent("linear_backward_input", "dx", "columns", dx.extent(1), "W", "columns", K,
                          "dx (B, K) and W (N, K) with the same K");
  backend::require_blocks("linear_backward_input", "outputs", options.outputs, index_t(N));
  const auto run = [&](Backend by) {
    if constexpr (std::is_same_v<Scalar, float>)
      if (by == Backend::vendor) return context.vendor().linear_backward_input(context, dy, W, dx), true;
    backend::blocked_gemm<Scalar>(context, labels, index_t(B), index_t(K), index_t(N), plain<Scalar>(dy),
                                  plain<Scalar>(W), options.outputs, {}, dx.data(), index_t(dx.stride(0)));
    return true;
  };
  backend::run_chosen<Scalar>(context, shape_of(Call::linear_backward_input, B, N, K),
                              vendor_multiplies(options.outputs, B, N, K), run);
}

template <class Scalar>
void linear_backward_weights(Context& context, const LinearOptions& options, Store store,
                             std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> dy,
                             std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW,
                             std::type_identity_t<Vector<accumulate_t<Scalar>>> db) {
  static const GemmLabels labels("partita::kernels::linear_backward_weights");
  static const std::string trial_label = "partita::kernels::linear_backward_weights::trial";
  const std::size_t B = x.extent(0), N = dy.extent(1), K = x.extent(1);
  backend::require_extent("linear_backward_weights", "dy", "rows", dy.extent(0), "x", "rows", B,
                          "dy (B, N) and x (B, K) with the same B");
  backend::require_extent("linear_backward_weights", "dW", "rows", dW.extent(0), "dy", "columns", N,
                          "dW (N, K) and dy (B, N) with the same N");
  backend::require_extent("linear_backward_weights", "dW", "columns", dW.extent(1), "x", "columns", K,
                          "dW (N, K) and x (B, K) with the same K");
  if (db.extent(0) > 0)
    backend::require_extent("linear_backward_weights", "db", "elements", db.extent(0), "dy", "columns", N,
                            "db (N) and dy (B, N) with the same N");
  const Blocks rows =
      backend::blocks_of_rows("linear_backward_weights", {options.tokens, options.token_blocks}, index_t(B));
  using Sum = accumulate_t<Scalar>;
  const auto into = [&, store](const Matrix<Sum>& to, const Vector<Sum>& bias_to) {
    return [&, store, to, bias_to](Backend by) {
      if constexpr (std::is_same_v<Scalar, float>)
        if (by == Backend::vendor)
          return context.vendor().linear_backward_weights(context, store, x, dy, to, bias_to), true;
      backend::blocked_gemm<Scalar>(context, labels, index_t(N), index_t(K), index_t(B), transposed<Scalar>(dy),
                                    plain<Scalar>(x), rows, {.beta = Sum(store == Store::accumulate ? 1 : 0)},
                                    to.data(), index_t(to.stride(0)));
      if (bias_to.extent(0) > 0) backend::column_sum<Scalar>(context, rows, store, dy, bias_to);
      return true;
    };
  };
  // What is added to must be added to once: a trial has its own.
  const auto make_trial = [&] {
    return into(Matrix<Sum>(Kokkos::view_alloc(context.exec(), trial_label), N, K),
                Vector<Sum>(Kokkos::view_alloc(context.exec(), trial_label), db.extent(0)));
  };
  backend::run_chosen<Scalar>(context, shape_of(Call::linear_backward_weights, B, N, K),
                              vendor_multiplies(rows, B, N, K), into(dW, db), make_trial);
}

template <class Scalar>
void linear_forward_node(Context& context, const LinearOptions& options, Node node,
                         std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> W,
                         std::type_identity_t<Matrix<accumulate_t<Scalar>>> y) {
  static const GemmLabels labels("partita::kernels::linear_forward_node");
  static constexpr const char* function = "linear_forward_node";
  backend::require_extent(function, "W", "columns", W.extent(1), "x", "columns", x.extent(1),
                          "W (N, K) and x (B, K) with the same K");
  backend::require_extent(function, "y", "rows", y.extent(0), "x", "rows", x.extent(0),
                          "y (B, N) and x (B, K) with the same B");
  backend::require_extent(function, "y", "columns", y.extent(1), "W", "rows", W.extent(0),
                          "y (B, N) and W (N, K) with the same N");
  backend::require_blocks(function, "inputs", options.inputs, index_t(x.extent(1)));
  backend::require_node(function, options.inputs.leaves, node);
  backend::node_gemm<Scalar>(context, labels, index_t(x.extent(0)), index_t(W.extent(0)), index_t(x.extent(1)),
                             plain<Scalar>(x), transposed<Scalar>(W), options.inputs, node, y.data(),
                             index_t(y.stride(0)));
}

template <class Scalar>
void linear_backward_input_node(Context& context, const LinearOptions& options, Node node,
                                std::type_identity_t<ConstMatrix<Scalar>> dy,
                                std::type_identity_t<ConstMatrix<Scalar>> W,
                                std::type_identity_t<Matrix<accumulate_t<Scalar>>> dx) {
  static const GemmLabels labels("partita::kernels::linear_backward_input_node");
  static constexpr const char* function = "linear_backward_input_node";
  backend::require_extent(function, "dy", "columns", dy.extent(1), "W", "rows", W.extent(0),
                          "dy (B, N) and W (N, K) with the same N");
  backend::require_extent(function, "dx", "rows", dx.extent(0), "dy", "rows", dy.extent(0),
                          "dx (B, K) and dy (B, N) with the same B");
  backend::require_extent(function, "dx", "columns", dx.extent(1), "W", "columns", W.extent(1),
                          "dx (B, K) and W (N, K) with the same K");
  backend::require_blocks(function, "outputs", options.outputs, index_t(W.extent(0)));
  backend::require_node(function, options.outputs.leaves, node);
  backend::node_gemm<Scalar>(context, labels, index_t(dy.extent(0)), index_t(W.extent(1)), index_t(W.extent(0)),
                             plain<Scalar>(dy), plain<Scalar>(W), options.outputs, node, dx.data(),
                             index_t(dx.stride(0)));
}

template <class Scalar, class In>
void linear_complete(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<In>> sums,
                     std::type_identity_t<ConstVector<Scalar>> b, std::type_identity_t<Matrix<Scalar>> y) {
  backend::require_extent("linear_complete", "y", "rows", y.extent(0), "sums", "rows", sums.extent(0), "the same");
  backend::require_extent("linear_complete", "y", "columns", y.extent(1), "sums", "columns", sums.extent(1),
                          "the same");
  if (b.extent(0) > 0)
    backend::require_extent("linear_complete", "b", "elements", b.extent(0), "y", "columns", y.extent(1),
                            "b (N) and y (B, N) with the same N");
  const backend::Epilogue<Scalar> epilogue{b.extent(0) == 0 ? nullptr : b.data(), activation};
  backend::apply_epilogue<Scalar, Scalar, In>(exec, epilogue, sums, y);
}

#define PARTITA_LINEAR(S)                                                                                            \
  template void linear_forward<S>(Context&, const LinearOptions&, ConstMatrix<S>, ConstMatrix<S>, ConstVector<S>,    \
                                  Matrix<S>);                                                                        \
  template void linear_backward_input<S>(Context&, const LinearOptions&, ConstMatrix<S>, ConstMatrix<S>, Matrix<S>); \
  template void linear_backward_weights<S>(Context&, const LinearOptions&, Store, ConstMatrix<S>, ConstMatrix<S>,    \
                                           Matrix<accumulate_t<S>>, Vector<accumulate_t<S>>);                        \
  template void linear_forward_node<S>(Context&, const LinearOptions&, Node, ConstMatrix<S>, ConstMatrix<S>,         \
                                       Matrix<accumulate_t<S>>);                                                     \
  template void linear_backward_input_node<S>(Context&, const LinearOptions&, Node, ConstMatrix<S>, ConstMatrix<S>,  \
                                              Matrix<accumulate_t<S>>);                                              \
  template void linear_complete<S, accumulate_t<S>>(const Exec&, Activation, ConstMatrix<accumulate_t<S>>,           \
                                                    ConstVector<S>, Matrix<S>)
PARTITA_LINEAR(float);
PARTITA_LINEAR(double);
PARTITA_LINEAR(bfloat16);
PARTITA_LINEAR(float16);
#undef PARTITA_LINEAR
template void linear_complete<bfloat16, bfloat16>(const Exec&, Activation, ConstMatrix<bfloat16>, ConstVector<bfloat16>,
                                                  Matrix<bfloat16>);
template void linear_complete<float16, float16>(const Exec&, Activation, ConstMatrix<float16>, ConstVector<float16>,
                                                Matrix<float16>);

}  // namespace partita::kernels
