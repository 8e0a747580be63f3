// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/attention.hpp>

#include <cmath>
#include <string>

#include <partita/core/error.hpp>
#include <partita/kernels/backend/attention_host.hpp>
#include <partita/kernels/backend/attention_host_backward.hpp>
#include <partita/kernels/backend/attention_rows.hpp>
#include <partita/kernels/backend/check.hpp>

namespace partita::kernels {
namespace {

constexpr const char *of_tokens = "(B T, H D)", *of_queries = "(B Q, H D)", *of_cache = "(B S, H D)";

/// What has a row for each query: q's columns.
template <class View, class Q>
void require_queries(const char* function, const char* name, const View& a, index_t queries, const Q& q) {
  backend::require_extent(function, name, "rows", a.extent(0), "the batch", "queries", std::size_t(queries),
                          of_queries);
  backend::require_extent(function, name, "columns", a.extent(1), "q", "columns", q.extent(1), of_queries);
}

template <class View>
auto heads(const View& a, const Slice& tokens) {
  return backend::Heads<typename View::value_type>{a.data(), index_t(a.stride(0)), tokens.extent, tokens.offset};
}

/// Checks q, which has `rows` tokens of each sample, and lse, and gives the extents; k and v are the caller's.
template <class Scalar>
backend::Attention<Scalar> extents(const char* function, const AttentionOptions& options, const Slice& tokens_of_q,
                                   const ConstMatrix<Scalar>& q, std::size_t lse, const char* shape) {
  const index_t rows = index_t(q.extent(0)), columns = index_t(q.extent(1)), n = tokens_of_q.extent, H = options.H;
  if (n < 1 || rows % n != 0)
    refuse<ShapeError>(
        function,
        "q has " + std::to_string(rows) + " rows, " + (n == options.T ? "T" : "Q") + " is " + std::to_string(n),
        std::string("q ") + shape);
  if (H < 1 || columns % H != 0)
    refuse<ShapeError>(function, "q has " + std::to_string(columns) + " columns, H is " + std::to_string(H),
                       std::string("q ") + shape);
  const Slice queries = queries_of(options);
  const index_t B = rows / n, D = columns / H;
  if (index_t(lse) != B * H * queries.extent)
    refuse<ShapeError>(function,
                       "lse has " + std::to_string(lse) + " elements, q has " + std::to_string(rows) + " rows, H is " +
                           std::to_string(H) + " and " + std::to_string(queries.extent) + " of " +
                           std::to_string(options.T) + " tokens are queries",
                       "lse (B H Q)");
  using A = accumulate_t<Scalar>;
  const A scale = D == 0 ? A(1) : A(1 / std::sqrt(double(D)));
  return {B, options.T, H, D, queries.offset, queries.extent, options.causal, scale, heads(q, tokens_of_q), {}, {}};
}

/// Of q, k and v that have all tokens.
template <class Scalar>
backend::Attention<Scalar> describe(const char* function, const AttentionOptions& options, const ConstMatrix<Scalar>& q,
                                    const ConstMatrix<Scalar>& k, const ConstMatrix<Scalar>& v, std::size_t lse) {
  const Slice all = whole(options.T);
  backend::Attention<Scalar> in = extents<Scalar>(function, options, all, q, lse, of_tokens);
  backend::require_shape(function, "k", k, "q", q, of_tokens);
  backend::require_shape(function, "v", v, "q", q, of_tokens);
  in.k = heads(k, all);
  in.v = heads(v, all);
  return in;
}

bool by_rows(const AttentionOptions& options) {
  return !backend::runs_on_host || options.algorithm == AttentionAlgorithm::plain;
}

template <class Scalar>
void forward(Context& context, const std::string& label, const AttentionOptions& options,
             const backend::Attention<Scalar>& in, const backend::AttentionResult<Scalar>& out) {
  if (by_rows(options))
    return backend::rows::attention_forward(context, label, in, out, options.algorithm == AttentionAlgorithm::plain);
  if constexpr (backend::runs_on_host) backend::host::attention_forward(context, label, in, out);
}

}  // namespace

Slice queries_of(const AttentionOptions& options) {
  const Slice& queries = options.queries;
  if (queries == Slice{}) return whole(options.T);
  if (queries.offset < 0 || queries.extent < 0 || queries.end() > options.T || queries.global != options.T)
    refuse<ShapeError>("attention",
                       "queries are tokens [" + std::to_string(queries.offset) + ", " + std::to_string(queries.end()) +
                           ") of " + std::to_string(queries.global) + ", T is " + std::to_string(options.T),
                       "a part of the T tokens");
  return queries;
}

std::string_view name(AttentionAlgorithm algorithm) {
  return algorithm == AttentionAlgorithm::blockwise ? "blockwise" : "plain";
}

template <class Scalar>
void attention_forward(Context& context, const AttentionOptions& options, std::type_identity_t<ConstMatrix<Scalar>> q,
                       std::type_identity_t<ConstMatrix<Scalar>> k, std::type_identity_t<ConstMatrix<Scalar>> v,
                       Matrix<Scalar> y, Vector<accumulate_t<Scalar>> lse) {
  static const std::string label = "partita::kernels::attention_forward";
  const auto in = describe<Scalar>("attention_forward", options, q, k, v, lse.extent(0));
  require_queries("attention_forward", "y", y, in.B * in.Q, q);
  if (in.B * in.Q == 0) return;
  forward<Scalar>(context, label, options, in, {heads(y, queries_of(options)), lse.data()});
}

template <class Scalar>
void attention_cached(Context& context, const AttentionOptions& options, std::type_identity_t<ConstMatrix<Scalar>> q,
                      std::type_identity_t<ConstMatrix<Scalar>> k, std::type_identity_t<ConstMatrix<Scalar>> v,
                      Matrix<Scalar> y, Vector<accumulate_t<Scalar>> lse) {
  static const std::string label = "partita::kernels::attention_cached";
  const Slice queries = queries_of(options);
  auto in = extents<Scalar>("attention_cached", options, queries, q, lse.extent(0), of_queries);
  require_queries("attention_cached", "y", y, in.B * in.Q, q);
  backend::require_shape("attention_cached", "v", v, "k", k, of_cache);
  backend::require_extent("attention_cached", "k", "columns", k.extent(1), "q", "columns", q.extent(1), of_cache);
  if (in.B == 0) return;
  const index_t rows = index_t(k.extent(0)), S = rows / in.B;
  if (rows % in.B != 0 || S < options.T)
    refuse<ShapeError>("attention_cached",
                       "k has " + std::to_string(rows) + " rows for " + std::to_string(in.B) +
                           " samples of T = " + std::to_string(options.T) + " tokens",
                       "k (B S, H D) with S >= T");
  in.k = heads(k, whole(S));
  in.v = heads(v, whole(S));
  forward<Scalar>(context, label, options, in, {heads(y, queries), lse.data()});
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
  require_queries("attention_backward", "y", y, in.B * in.Q, q);
  require_queries("attention_backward", "dy", dy, in.B * in.Q, q);
  backend::require_shape("attention_backward", "dq", dq, "q", q, of_tokens);
  backend::require_shape("attention_backward", "dk", dk, "q", q, of_tokens);
  backend::require_shape("attention_backward", "dv", dv, "q", q, of_tokens);
  if (in.B == 0) return;
  const Slice all = whole(options.T), queries = queries_of(options);
  const backend::AttentionGradient<Scalar> out{heads(y, queries), heads(dy, queries), lse.data(),
                                               heads(dq, all),    heads(dk, all),     heads(dv, all)};
  if (by_rows(options))
    return backend::rows::attention_backward(context, query_label, key_label, in, out,
                                             options.algorithm == AttentionAlgorithm::plain);
  if constexpr (backend::runs_on_host) backend::host::attention_backward(context, label, in, out);
}

#define PARTITA_ATTENTION(Scalar)                                                                                      \
  template void attention_forward<Scalar>(Context&, const AttentionOptions&, ConstMatrix<Scalar>, ConstMatrix<Scalar>, \
                                          ConstMatrix<Scalar>, Matrix<Scalar>, Vector<accumulate_t<Scalar>>);          \
  template void attention_cached<Scalar>(Context&, const AttentionOptions&, ConstMatrix<Scalar>, ConstMatrix<Scalar>,  \
                                         ConstMatrix<Scalar>, Matrix<Scalar>, Vector<accumulate_t<Scalar>>);           \
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
