// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/attention_panel.hpp>
#include <partita/kernels/context.hpp>

// Blockwise attention for hosts, forward: see attention_panel.hpp.

namespace partita::kernels::backend::host {

template <class Scalar>
struct AttentionForward : AttentionPanel<Scalar> {
  using Panel = AttentionPanel<Scalar>;
  using Panel::lanes;
  using Panel::W;
  using typename Panel::A;
  using typename Panel::Simd;

  Attention<Scalar> in;
  AttentionResult<Scalar> out;

  struct Scratch {
    A *query, *score, *output, *top, *sum, *keys, *values;
    index_t size;
    Scratch(A* begin, index_t D) {
      Pieces<A> pieces(begin);
      query = pieces.take(D * W), output = pieces.take(D * W), score = pieces.take(key_block * W);
      top = pieces.take(W), sum = pieces.take(W);
      const index_t converted = std::is_same_v<A, Scalar> ? 0 : key_block * D;
      keys = pieces.take(converted), values = pieces.take(converted);
      size = pieces.taken();
    }
  };

  /// Scores to weights: exp(score - top), with the largest score so far as top; what was summed before is rescaled.
  static void weigh(index_t keys, index_t D, bool first, const Scratch& s) {
    Simd top[2] = {load(s.top), load(s.top + lanes)}, total[2] = {};
    alignas(64) A before[W], largest[W], factor[W], sum[W];
    std::copy_n(s.top, W, before);
    for (index_t j = 0; j < keys; ++j) {
      const Simd low = load(s.score + j * W), high = load(s.score + j * W + lanes);
      top[0] = low > top[0] ? low : top[0];
      top[1] = high > top[1] ? high : top[1];
    }
    store(top[0], largest);
    store(top[1], largest + lanes);
    for (index_t j = 0; j < keys; ++j) {
      A* const score = s.score + j * W;
#pragma GCC unroll 1
      for (int w = 0; w < W; ++w) score[w] = math::exp(score[w] - largest[w]);
      total[0] += load(score);
      total[1] += load(score + lanes);
    }
    store(total[0], sum);
    store(total[1], sum + lanes);
#pragma GCC unroll 1
    for (int w = 0; w < W; ++w) factor[w] = math::exp(before[w] - largest[w]);
#pragma GCC unroll 1
    for (int w = 0; w < W; ++w) s.sum[w] = first ? sum[w] : s.sum[w] * factor[w] + sum[w];
    std::copy_n(largest, W, s.top);
    if (first) return;
    for (index_t d = 0; d < D; ++d)
#pragma GCC unroll 1
      for (int w = 0; w < W; ++w) s.output[d * W + w] *= factor[w];
  }

  /// The queries from token q0 on.
  void operator()(index_t head, index_t q0, const Scratch& s) const {
    const index_t D = in.D, n = std::min<index_t>(W, in.first + in.Q - q0), limit = in.seen(q0 + n - 1);
    Panel::load(in.row(in.q, head, q0), in.q.leading, n, D, in.scale, s.query);
    std::fill_n(s.top, W, -Panel::infinity);
    for (index_t k0 = 0; k0 < limit; k0 += key_block) {
      const index_t keys = std::min(key_block, limit - k0);
      const auto k = block_of(in.row(in.k, head, k0), in.k.leading, keys, D, s.keys);
      const auto v = block_of(in.row(in.v, head, k0), in.v.leading, keys, D, s.values);
      multiply_panel(keys, D, k.data, Left<index_t, Constant<1>>{k.step, {}}, s.query, index_t(W), false, s.score,
                     index_t(W));
      if (in.causal && k0 + keys - 1 > q0) Panel::mask(q0, k0, keys, -Panel::infinity, s.score);
      weigh(keys, D, k0 == 0, s);
      const index_t open = Panel::seen_by_all(in.causal, q0, k0, keys);
      const bool careful = open < keys && !Panel::finite(v.data + open * v.step, v.step, keys - open, D);
      if (!careful || open > 0)
        multiply_panel(D, careful ? open : keys, v.data, Left<Constant<1>, index_t>{{}, v.step}, s.score, index_t(W),
                       k0 > 0, s.output, index_t(W));
      if (careful) Panel::add_seen(q0, k0, open, keys, D, v, s.score, s.output);
    }
    A* const lse = out.lse + in.query(head, q0);
    for (index_t w = 0; w < n; ++w) lse[w] = s.top[w] + Kokkos::log(s.sum[w]);
#pragma GCC unroll 1
    for (int w = 0; w < W; ++w) s.sum[w] = A(1) / s.sum[w];
    Panel::store(s.output, s.sum, n, D, in.row(out.y, head, q0), out.y.leading);
  }
};

template <class Scalar>
void attention_forward(Context& context, const std::string& label, const Attention<Scalar>& in,
                       const AttentionResult<Scalar>& out) {
  using Kernel = AttentionForward<Scalar>;
  using A = accumulate_t<Scalar>;
  const index_t size = typename Kernel::Scratch(nullptr, in.D).size, threads = threads_of(context.exec());
  A* const scratch = static_cast<A*>(context.scratch(std::size_t(size * threads) * sizeof(A)));
  const index_t panels = (in.Q + Kernel::W - 1) / Kernel::W;
  const Kernel kernel{{}, in, out};
  for_tasks(context.exec(), label, in.B * in.H * panels, [&](index_t slot, index_t task) {
    kernel(task / panels, in.first + task % panels * Kernel::W, typename Kernel::Scratch(scratch + slot * size, in.D));
  });
}

}  // namespace partita::kernels::backend::host
