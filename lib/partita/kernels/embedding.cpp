// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/embedding.hpp>

namespace partita::kernels {
namespace {

/// A task is one row's share of columns: a vector loop here, a thread there.
inline constexpr int width = backend::runs_on_host ? 256 : 1;

constexpr index_t blocks(index_t columns) { return (columns + width - 1) / width; }

struct Columns {
  index_t row, begin, end;

  KOKKOS_FUNCTION Columns(index_t task, index_t C) {
    const index_t per_row = (C + width - 1) / width;
    row = task / per_row;
    begin = task % per_row * width;
    end = begin + width < C ? begin + width : C;
  }
};

template <class Scalar>
struct Forward {
  using A = accumulate_t<Scalar>;
  index_t T, V, C, W_leading, P_leading, y_leading;
  const std::int32_t* tokens;
  const Scalar *W, *P;  // P: null for none
  Scalar* y;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const Columns at(task, C);
    const index_t token = tokens[at.row];
    Scalar* const to = y + at.row * y_leading;
    if (token < 0 || token >= V) {
      for (index_t c = at.begin; c < at.end; ++c) to[c] = Scalar(Kokkos::Experimental::quiet_NaN_v<A>);
      return;
    }
    const Scalar *const word = W + token * W_leading, *const position = P + at.row % T * P_leading;
    if (P == nullptr) {
#pragma GCC ivdep
      for (index_t c = at.begin; c < at.end; ++c) to[c] = word[c];
    } else {
#pragma GCC ivdep
      for (index_t c = at.begin; c < at.end; ++c) to[c] = Scalar(A(word[c]) + A(position[c]));
    }
  }
};

/// One thread has some columns of all of dW, and adds rows of dy where their tokens say.
template <class Scalar>
struct ScatterWords {
  static constexpr index_t share = 64;  // columns
  index_t rows, V, C, dy_leading, dW_leading;
  const std::int32_t* tokens;
  const Scalar* dy;
  Scalar* dW;

  void operator()(index_t block) const {
    const index_t begin = block * share, end = begin + share < C ? begin + share : C;
    for (index_t v = 0; v < V; ++v)
      for (index_t c = begin; c < end; ++c) dW[v * dW_leading + c] = Scalar(0);
    for (index_t i = 0; i < rows; ++i) {
      const index_t token = tokens[i];
      if (token < 0 || token >= V) continue;
      const Scalar* const from = dy + i * dy_leading;
      Scalar* const to = dW + token * dW_leading;
#pragma GCC ivdep
      for (index_t c = begin; c < end; ++c) to[c] += from[c];
    }
  }
};

/// A row of dW looks for its token, a row of dP takes every T-th.
template <class Scalar, bool positions>
struct Gather {
  using A = accumulate_t<Scalar>;
  index_t rows, T, C, dy_leading, leading;
  const std::int32_t* tokens;
  const Scalar* dy;
  Scalar* to;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const Columns at(task, C);
    const index_t inside = at.end - at.begin;
    A sum[width] = {};
    for (index_t i = positions ? at.row : 0; i < rows; i += positions ? T : 1) {
      if (!positions && tokens[i] != at.row) continue;
      const Scalar* const from = dy + i * dy_leading + at.begin;
      for (index_t c = 0; c < inside; ++c) sum[c] += A(from[c]);
    }
    for (index_t c = 0; c < inside; ++c) to[at.row * leading + at.begin + c] = Scalar(sum[c]);
  }
};

template <class Scalar>
void check(const char* function, index_t T, std::size_t rows, const ConstMatrix<Scalar>& W, const char* W_name,
           const ConstMatrix<Scalar>& P, const char* P_name, const ConstMatrix<Scalar>& y, const char* y_name) {
  using backend::require_extent;
  if (T < 1) throw ShapeError(std::string(function) + ": T is " + std::to_string(T) + ": expected at least 1");
  require_extent(function, y_name, "rows", y.extent(0), "tokens", "elements", rows, "one row (B T, C) a token (B T)");
  require_extent(function, W_name, "columns", W.extent(1), y_name, "columns", y.extent(1), "the same C");
  if (P.size() == 0) return;
  require_extent(function, P_name, "columns", P.extent(1), y_name, "columns", y.extent(1), "the same C");
  if (index_t(P.extent(0)) != T)
    throw ShapeError(std::string(function) + ": " + P_name + " has " + std::to_string(P.extent(0)) + " rows, T is " +
                     std::to_string(T) + ": expected " + P_name + " (T, C)");
}

}  // namespace

template <class Scalar>
void embedding_forward(const Exec& exec, index_t T, ConstVector<std::int32_t> tokens,
                       std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstMatrix<Scalar>> P,
                       Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::embedding_forward";
  check<Scalar>("embedding_forward", T, tokens.extent(0), W, "W", P, "P", y, "y");
  const index_t rows = index_t(y.extent(0)), C = index_t(y.extent(1));
  Kokkos::parallel_for(
      label, backend::range_policy(exec, rows * blocks(C)),
      Forward<Scalar>{T, index_t(W.extent(0)), C, index_t(W.stride(0)), index_t(P.stride(0)), index_t(y.stride(0)),
                      tokens.data(), W.data(), P.size() == 0 ? nullptr : P.data(), y.data()});
}

template <class Scalar>
void embedding_backward_weights(const Exec& exec, index_t T, ConstVector<std::int32_t> tokens,
                                std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dW, Matrix<Scalar> dP) {
  static const std::string words_label = "partita::kernels::embedding_backward_weights::words";
  static const std::string positions_label = "partita::kernels::embedding_backward_weights::positions";
  check<Scalar>("embedding_backward_weights", T, tokens.extent(0), dW, "dW", dP, "dP", dy, "dy");
  const index_t rows = index_t(dy.extent(0)), C = index_t(dy.extent(1)), V = index_t(dW.extent(0));
  const index_t dy_leading = index_t(dy.stride(0));
  if constexpr (backend::runs_on_host && std::is_same_v<Scalar, accumulate_t<Scalar>>) {
    const index_t share = ScatterWords<Scalar>::share;
    Kokkos::parallel_for(
        words_label, backend::range_policy(exec, (C + share - 1) / share),
        ScatterWords<Scalar>{rows, V, C, dy_leading, index_t(dW.stride(0)), tokens.data(), dy.data(), dW.data()});
  } else {
    Kokkos::parallel_for(
        words_label, backend::range_policy(exec, V * blocks(C)),
        Gather<Scalar, false>{rows, T, C, dy_leading, index_t(dW.stride(0)), tokens.data(), dy.data(), dW.data()});
  }
  if (dP.size() > 0)
    Kokkos::parallel_for(
        positions_label, backend::range_policy(exec, T * blocks(C)),
        Gather<Scalar, true>{rows, T, C, dy_leading, index_t(dP.stride(0)), tokens.data(), dy.data(), dP.data()});
}

#define PARTITA_EMBEDDING(S)                                                                                          \
  template void embedding_forward<S>(const Exec&, index_t, ConstVector<std::int32_t>, ConstMatrix<S>, ConstMatrix<S>, \
                                     Matrix<S>);                                                                      \
  template void embedding_backward_weights<S>(const Exec&, index_t, ConstVector<std::int32_t>, ConstMatrix<S>,        \
                                              Matrix<S>, Matrix<S>)
PARTITA_EMBEDDING(float);
PARTITA_EMBEDDING(double);
PARTITA_EMBEDDING(bfloat16);
PARTITA_EMBEDDING(float16);
#undef PARTITA_EMBEDDING

}  // namespace partita::kernels
