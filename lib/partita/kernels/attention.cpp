// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <partita/core/error.hpp>
#include <partita/kernels/attention.hpp>
#include <partita/kernels/backend/attention_host.hpp>
#include <partita/kernels/backend/attention_host_backward.hpp>
#include <partita/kernels/backend/attention_rows.hpp>
#include <string>

namespace partita::kernels {
namespace {

template <class View>
void require_like_q(const char* function, const char* name, const View& a, std::size_t rows, std::size_t columns) {
  if (a.extent(0) == rows && a.extent(1) == columns) return;
  throw ShapeError(std::string(function) + ": " + name + " is (" + std::to_string(a.extent(0)) + ", " +
                   std::to_string(a.extent(1)) + "), q is (" + std::to_string(rows) + ", " + std::to_string(columns) +
                   "): expected the same shape (B T, H D)");
}

template <class View>
auto heads(const View& a) {
  return backend::Heads<typename View::value_type>{a.data(), index_t(a.stride(0))};
}

/// Checks q, k, v and lse, and describes the problem.
template <class Scalar>
backend::Attention<Scalar> describe(const char* function, const AttentionOptions& options, const ConstMatrix<Scalar>& q,
                                    const ConstMatrix<Scalar>& k, const ConstMatrix<Scalar>& v, std::size_t lse) {
  const index_t rows = index_t(q.extent(0)), columns = index_t(q.extent(1)), T = options.T, H = options.H;
  if (T < 1 || rows % T != 0)
    throw ShapeError(std::string(function) + ": q has " + std::to_string(rows) + " rows, T is " + std::to_string(T) +
                     ": expected q (B T, H D)");
  if (H < 1 || columns % H != 0)
    throw ShapeError(std::string(function) + ": q has " + std::to_string(columns) + " columns, H is " +
                     std::to_string(H) + ": expected q (B T, H D)");
  require_like_q(function, "k", k, q.extent(0), q.extent(1));
  require_like_q(function, "v", v, q.extent(0), q.extent(1));
  if (index_t(lse) != rows * H)
    throw ShapeError(std::string(function) + ": lse has " + std::to_string(lse) + " elements, q has " +
                     std::to_string(rows) + " rows and H is " + std::to_string(H) + ": expected lse (B H T)");
  const index_t D = columns / H;
  using A = accumulate_t<Scalar>;
  return {rows / T, T, H, D, options.causal, D == 0 ? A(1) : A(1 / std::sqrt(double(D))), heads(q), heads(k), heads(v)};
}

bool by_rows(const AttentionOptions& options) {
  return !backend::runs_on_host || options.algorithm == AttentionAlgorithm::plain;
}

}  // namespace

std::string_view name(AttentionAlgorithm algorithm) {
  return algorithm == AttentionAlgorithm::blockwise ? "blockwise" : "plain";
}

template <class Scalar>
void attention_forward(Context& context, const AttentionOptions& options, std::type_identity_t<ConstMatrix<Scalar>> q,
                       std::type_identity_t<ConstMatrix<Scalar>> k, std::type_identity_t<ConstMatrix<Scalar>> v,
                       Matrix<Scalar> y, Vector<accumulate_t<Scalar>> lse) {
  static const std::string label = "partita::kernels::attention_forward";
  const auto in = describe<Scalar>("attention_forward", options, q, k, v, lse.extent(0));
  require_like_q("attention_forward", "y", y, q.extent(0), q.extent(1));
  if (in.B == 0) return;
  const backend::AttentionResult<Scalar> out{heads(y), lse.data()};
  if (by_rows(options))
    return backend::rows::attention_forward(context, label, in, out, options.algorithm == AttentionAlgorithm::plain);
  if constexpr (backend::runs_on_host) backend::host::attention_forward(context, label, in, out);
}

template <class Scalar>
void attention_backward(Context& context, const AttentionOptions& options, std::type_identity_t<ConstMatrix<Scalar>> q,
                        std::type_identity_t<ConstMatrix<Scalar>> k, std::type_identity_t<ConstMatrix<Scalar>> v,
                        std::type_identity_t<ConstMatrix<Scalar>> y,
                        std::type_identity_t<ConstVector<accumulate_t<Scalar>>> lse,
                        std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dq, Matrix<Scalar> dk,
                        Matrix<Scalar> dv) {
  static const std::string label = "partita::kernels::attention_backward";
  static const std::string query_label = label + "::query", key_label = label + "::key";
  const auto in = describe<Scalar>("attention_backward", options, q, k, v, lse.extent(0));
  require_like_q("attention_backward", "y", y, q.extent(0), q.extent(1));
  require_like_q("attention_backward", "dy", dy, q.extent(0), q.extent(1));
  require_like_q("attention_backward", "dq", dq, q.extent(0), q.extent(1));
  require_like_q("attention_backward", "dk", dk, q.extent(0), q.extent(1));
  require_like_q("attention_backward", "dv", dv, q.extent(0), q.extent(1));
  if (in.B == 0) return;
  const backend::AttentionGradient<Scalar> out{heads(y), heads(dy), lse.data(), heads(dq), heads(dk), heads(dv)};
  if (by_rows(options))
    return backend::rows::attention_backward(context, query_label, key_label, in, out,
                                             options.algorithm == AttentionAlgorithm::plain);
  if constexpr (backend::runs_on_host) backend::host::attention_backward(context, label, in, out);
}

#define PARTITA_ATTENTION(Scalar)                                                                                      \
  template void attention_forward<Scalar>(Context&, const AttentionOptions&, ConstMatrix<Scalar>, ConstMatrix<Scalar>, \
                                          ConstMatrix<Scalar>, Matrix<Scalar>, Vector<accumulate_t<Scalar>>);          \
  template void attention_backward<Scalar>(Context&, const AttentionOptions&, ConstMatrix<Scalar>,                     \
                                           ConstMatrix<Scalar>, ConstMatrix<Scalar>, ConstMatrix<Scalar>,              \
                                           ConstVector<accumulate_t<Scalar>>, ConstMatrix<Scalar>, Matrix<Scalar>,     \
                                           Matrix<Scalar>, Matrix<Scalar>)
PARTITA_ATTENTION(float);
PARTITA_ATTENTION(double);
PARTITA_ATTENTION(bfloat16);
PARTITA_ATTENTION(float16);
#undef PARTITA_ATTENTION

}  // namespace partita::kernels
