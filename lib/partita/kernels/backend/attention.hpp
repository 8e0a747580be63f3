// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

namespace partita::kernels::backend {

/// The heads of a matrix (B rows, H D) that has, of each sample, `rows` tokens from token `first` on.
template <class Scalar>
struct Heads {
  Scalar* data;
  index_t leading;
  index_t rows, first;
};

/// Extents of an attention, and what both directions read. Queries, of which y, dy and lse have a row, are the tokens
/// [first, first + Q). `scale` is 1 / sqrt(D), t a token among all T.
template <class Scalar>
struct Attention {
  index_t B, T, H, D, first, Q;
  bool causal;
  accumulate_t<Scalar> scale;
  Heads<const Scalar> q, k, v;

  /// Token t of head `head` = b H + h.
  template <class Number>
  KOKKOS_FUNCTION Number* row(const Heads<Number>& of, index_t head, index_t t) const {
    return of.data + (head / H * of.rows + t - of.first) * of.leading + head % H * D;
  }
  /// Place of query t among B H Q numbers.
  KOKKOS_FUNCTION index_t query(index_t head, index_t t) const { return head * Q + t - first; }
  KOKKOS_FUNCTION bool is_query(index_t t) const { return t >= first && t < first + Q; }
  /// How many keys token t sees.
  KOKKOS_FUNCTION index_t seen(index_t t) const { return causal ? t + 1 : T; }
};

template <class Scalar>
struct AttentionResult {
  Heads<Scalar> y;
  accumulate_t<Scalar>* lse;
};

template <class Scalar>
struct AttentionGradient {
  Heads<const Scalar> y, dy;
  const accumulate_t<Scalar>* lse;
  Heads<Scalar> dq, dk, dv;
};

}  // namespace partita::kernels::backend
