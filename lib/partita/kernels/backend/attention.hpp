// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

namespace partita::kernels::backend {

/// The heads of a (B T, H D) matrix.
template <class Scalar>
struct Heads {
  Scalar* data;
  index_t leading;
};

/// Extents of an attention, and what both directions read. `scale` is 1 / sqrt(D).
template <class Scalar>
struct Attention {
  index_t B, T, H, D;
  bool causal;
  accumulate_t<Scalar> scale;
  Heads<const Scalar> q, k, v;

  /// Row `t` of head `head` = b H + h.
  template <class Number>
  KOKKOS_FUNCTION Number* row(const Heads<Number>& of, index_t head, index_t t) const {
    return of.data + (head / H * T + t) * of.leading + head % H * D;
  }
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
