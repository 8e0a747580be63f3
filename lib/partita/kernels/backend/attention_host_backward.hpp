// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/attention_panel.hpp>
#include <partita/kernels/context.hpp>

// Blockwise attention for hosts, backward: one task a head, whose gradients of keys and values add up over its queries.

namespace partita::kernels::backend::host {

template <class Scalar>
struct AttentionBackward : AttentionPanel<Scalar> {
  using Panel = AttentionPanel<Scalar>;
  using Panel::W;
  using typename Panel::A;

  Attention<Scalar> in;
  AttentionGradient<Scalar> out;

  struct Scratch {
    A *query, *dy, *query_rows, *dy_rows, *dq, *weight, *slope, *product, *lse, *keys, *values, *dk, *dv;
    index_t pitch, size;  // pitch: of rows of D numbers, whole panels
    Scratch(A* begin, index_t T, index_t D) : pitch(padded(D, W)) {
      Pieces<A> pieces(begin);
      for (A** panel : {&query, &dy, &dq}) *panel = pieces.take(D * W);
      for (A** rows : {&query_rows, &dy_rows}) *rows = pieces.take(W * pitch);
      for (A** scores : {&weight, &slope}) *scores = pieces.take(key_block * W);
      for (A** numbers : {&product, &lse}) *numbers = pieces.take(W);
      const index_t converted = std::is_same_v<A, Scalar> ? 0 : key_block * D;
      for (A** block : {&keys, &values}) *block = pieces.take(converted);
      for (A** gradient : {&dk, &dv}) *gradient = pieces.take(T * pitch);
      size = pieces.taken();
    }
  };

  /// rows(w, :) = factor * from(w, :), zero beyond D.
  static void load_rows(const Scalar* from, index_t leading, index_t n, index_t D, A factor, A* rows, index_t pitch) {
    for (index_t w = 0; w < n; ++w) {
      for (index_t d = 0; d < D; ++d) rows[w * pitch + d] = factor * A(from[w * leading + d]);
      std::fill_n(rows + w * pitch + D, pitch - D, A(0));
    }
  }
  static void store_rows(const A* rows, index_t pitch, index_t n, index_t D, Scalar* to, index_t leading) {
    for (index_t t = 0; t < n; ++t)
      for (index_t d = 0; d < D; ++d) to[t * leading + d] = Scalar(rows[t * pitch + d]);
  }

  void load_queries(index_t head, index_t q0, index_t n, const Scratch& s) const {
    const Scalar *const q = in.row(in.q, head, q0), *const dy = in.row(out.dy, head, q0);
    Panel::load(q, in.q.leading, n, in.D, in.scale, s.query);
    Panel::load(dy, out.dy.leading, n, in.D, A(1), s.dy);
    load_rows(q, in.q.leading, n, in.D, in.scale, s.query_rows, s.pitch);
    load_rows(dy, out.dy.leading, n, in.D, A(1), s.dy_rows, s.pitch);
    // y is needed for dy . y alone; its panel lies where dq's will.
    Panel::load(in.row(out.y, head, q0), out.y.leading, n, in.D, A(1), s.dq);
    std::fill_n(s.product, W, A(0));
    for (index_t d = 0; d < in.D; ++d)
#pragma GCC unroll 1
      for (int w = 0; w < W; ++w) s.product[w] = math::fused(s.dy[d * W + w], s.dq[d * W + w], s.product[w]);
    std::fill_n(s.lse, W, A(0));
    std::copy_n(out.lse + in.query(head, q0), n, s.lse);
  }

  /// dv and dk of keys [k0 + j, k0 + j + keys) += what queries [w, n) of the panel give.
  void add_to_keys(index_t keys, index_t w, index_t n, index_t k0, index_t j, const Scratch& s) const {
    if (keys == 0 || w >= n) return;
    const Left<index_t, Constant<1>> row_major{unknown(W), {}};
    const index_t from = j * W + w, query = w * s.pitch, key = (k0 + j) * s.pitch;
    for (index_t d = 0; d < in.D; d += W) {
      multiply_panel(keys, n - w, s.weight + from, row_major, s.dy_rows + query + d, s.pitch, true, s.dv + key + d,
                     s.pitch);
      multiply_panel(keys, n - w, s.slope + from, row_major, s.query_rows + query + d, s.pitch, true, s.dk + key + d,
                     s.pitch);
    }
  }

  void operator()(index_t head, const Scratch& s) const {
    const index_t T = in.T, D = in.D;
    std::fill_n(s.dk, T * s.pitch, A(0));
    std::fill_n(s.dv, T * s.pitch, A(0));
    alignas(64) A lse[W], product[W];
    for (index_t t = 0; t < T; ++t)
      if (!in.is_query(t)) std::fill_n(in.row(out.dq, head, t), D, Scalar(0));
    for (index_t q0 = in.first; q0 < in.first + in.Q; q0 += W) {
      const index_t n = std::min<index_t>(W, in.first + in.Q - q0), limit = in.seen(q0 + n - 1);
      load_queries(head, q0, n, s);
      const bool finite = Panel::finite(s.query_rows, s.pitch, n, D) && Panel::finite(s.dy_rows, s.pitch, n, D);
      std::copy_n(s.lse, W, lse);
      std::copy_n(s.product, W, product);
      for (index_t k0 = 0; k0 < limit; k0 += key_block) {
        const index_t keys = std::min(key_block, limit - k0);
        const auto k = block_of(in.row(in.k, head, k0), in.k.leading, keys, D, s.keys);
        const auto v = block_of(in.row(in.v, head, k0), in.v.leading, keys, D, s.values);
        multiply_panel(keys, D, k.data, Left<index_t, Constant<1>>{k.step, {}}, s.query, index_t(W), false, s.weight,
                       index_t(W));
        multiply_panel(keys, D, v.data, Left<index_t, Constant<1>>{v.step, {}}, s.dy, index_t(W), false, s.slope,
                       index_t(W));
        if (in.causal && k0 + keys - 1 > q0) Panel::mask(q0, k0, keys, -Panel::infinity, s.weight);
        for (index_t j = 0; j < keys; ++j) {
          A *const weight = s.weight + j * W, *const slope = s.slope + j * W;
#pragma GCC ivdep
#pragma GCC unroll 1
          for (int w = 0; w < W; ++w) {
            const A p = math::exp(weight[w] - lse[w]);
            weight[w] = p;
            slope[w] = p * (slope[w] - product[w]);
          }
        }
        const index_t open = Panel::seen_by_all(in.causal, q0, k0, keys);
        if (open < keys) {  // an infinity or NaN of one query must not become its neighbour's
          Panel::mask(q0, k0, keys, A(0), s.weight);
          Panel::mask(q0, k0, keys, A(0), s.slope);
        }
        const index_t together = open == keys || finite ? keys : open;
        add_to_keys(together, 0, n, k0, 0, s);
        for (index_t j = together; j < keys; ++j) add_to_keys(1, k0 + j - q0, n, k0, j, s);
        const bool careful = open < keys && !Panel::finite(k.data + open * k.step, k.step, keys - open, D);
        if (!careful || open > 0)
          multiply_panel(D, careful ? open : keys, k.data, Left<Constant<1>, index_t>{{}, k.step}, s.slope, index_t(W),
                         k0 > 0, s.dq, index_t(W));
        if (careful) Panel::add_seen(q0, k0, open, keys, D, k, s.slope, s.dq);
      }
      std::fill_n(s.product, W, in.scale);
      Panel::store(s.dq, s.product, n, D, in.row(out.dq, head, q0), out.dq.leading);
    }
    store_rows(s.dk, s.pitch, T, D, in.row(out.dk, head, 0), out.dk.leading);
    store_rows(s.dv, s.pitch, T, D, in.row(out.dv, head, 0), out.dv.leading);
  }
};

template <class Scalar>
void attention_backward(Context& context, const std::string& label, const Attention<Scalar>& in,
                        const AttentionGradient<Scalar>& out) {
  using Kernel = AttentionBackward<Scalar>;
  using A = accumulate_t<Scalar>;
  const index_t size = typename Kernel::Scratch(nullptr, in.T, in.D).size, threads = threads_of(context.exec());
  A* const scratch = static_cast<A*>(context.scratch(std::size_t(size * threads) * sizeof(A)));
  const Kernel kernel{{}, in, out};
  for_tasks(context.exec(), label, in.B * in.H, [&](index_t slot, index_t task) {
    kernel(task, typename Kernel::Scratch(scratch + slot * size, in.T, in.D));
  });
}

}  // namespace partita::kernels::backend::host
