// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <limits>

#include <partita/kernels/backend/attention.hpp>
#include <partita/kernels/backend/tile.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/math.hpp>

#ifdef __CUDACC__
#pragma nv_diag_suppress 1675  // GCC's own pragmas: hosts alone run this
#endif

// Blockwise attention for hosts. A vector lane is a query: scores, weights and outputs of a panel of queries are kept
// transposed, (keys, queries) and (D, queries), so that softmax needs no sum over lanes, a masked panel is left out
// whole, and every product reads its operands where they lie.

namespace partita::kernels::backend::host {

inline constexpr index_t key_block = 64;

constexpr index_t padded(index_t n, index_t to) { return (n + to - 1) / to * to; }

/// Pieces of one slot's scratch, each a multiple of 64 bytes.
template <class A>
class Pieces {
 public:
  /// Null: to learn the size.
  explicit Pieces(A* begin) : begin_(begin) {}
  A* take(index_t n) {
    A* const piece = begin_ == nullptr ? nullptr : begin_ + taken_;
    taken_ += padded(n, 16);
    return piece;
  }
  index_t taken() const { return taken_; }

 private:
  A* begin_;
  index_t taken_ = 0;
};

template <class A>
struct Block {
  const A* data;
  index_t step;
};

/// Rows of a head as they lie, or converted into `buffer`.
template <class A, class Scalar>
Block<A> block_of(const Scalar* from, index_t leading, index_t rows, index_t columns, A* buffer) {
  if constexpr (std::is_same_v<A, Scalar>) {
    return {from, leading};
  } else {
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < columns; ++j) buffer[i * columns + j] = A(from[i * leading + j]);
    return {buffer, columns};
  }
}

template <class Scalar>
struct AttentionPanel {
  using A = accumulate_t<Scalar>;
  using Simd = typename RegisterTile<A>::Simd;
  static constexpr int W = panel_width<A>;
  static constexpr int lanes = RegisterTile<A>::lanes;
  static constexpr A infinity = std::numeric_limits<A>::infinity();

  /// panel(d, w) = factor * rows(w, d), zero beyond the last row.
  static void load(const Scalar* rows, index_t leading, index_t n, index_t D, A factor, A* panel) {
    if (n < W) std::fill_n(panel, D * W, A(0));
    transpose(n, D, rows, leading, panel, index_t(W));
    if (factor != A(1))
      for (index_t e = 0; e < D * W; ++e) panel[e] *= factor;
  }
  /// rows(w, d) = panel(d, w) * factor(w).
  static void store(A* panel, const A* factor, index_t n, index_t D, Scalar* rows, index_t leading) {
    for (index_t d = 0; d < D; ++d)
#pragma GCC unroll 1
      for (int w = 0; w < W; ++w) panel[d * W + w] *= factor[w];
    transpose(D, n, panel, index_t(W), rows, leading);
  }
  /// Scores of keys [k0, k0 + keys) that queries from q0 on do not see become `value`.
  static void mask(index_t q0, index_t k0, index_t keys, A value, A* score) {
    for (index_t j = std::max<index_t>(0, q0 + 1 - k0); j < keys; ++j) {
      const int hidden = int(std::min<index_t>(W, k0 + j - q0));
      for (int w = 0; w < hidden; ++w) score[j * W + w] = value;
    }
  }
};

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

  void operator()(index_t head, index_t q0, const Scratch& s) const {
    const index_t D = in.D, n = std::min<index_t>(W, in.T - q0), limit = in.seen(q0 + n - 1);
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
      multiply_panel(D, keys, v.data, Left<Constant<1>, index_t>{{}, v.step}, s.score, index_t(W), k0 > 0, s.output,
                     index_t(W));
    }
    A* const lse = out.lse + head * in.T + q0;
    for (index_t w = 0; w < n; ++w) lse[w] = s.top[w] + Kokkos::log(s.sum[w]);
#pragma GCC unroll 1
    for (int w = 0; w < W; ++w) s.sum[w] = A(1) / s.sum[w];
    Panel::store(s.output, s.sum, n, D, in_row(head, q0), out.y.leading);
  }
  Scalar* in_row(index_t head, index_t t) const { return in.row(out.y, head, t); }
};

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
    std::copy_n(out.lse + head * in.T + q0, n, s.lse);
  }

  void operator()(index_t head, const Scratch& s) const {
    const index_t T = in.T, D = in.D;
    std::fill_n(s.dk, T * s.pitch, A(0));
    std::fill_n(s.dv, T * s.pitch, A(0));
    alignas(64) A lse[W], product[W];
    for (index_t q0 = 0; q0 < T; q0 += W) {
      const index_t n = std::min<index_t>(W, T - q0), limit = in.seen(q0 + n - 1);
      load_queries(head, q0, n, s);
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
        for (index_t d = 0; d < D; d += W) {
          const Left<index_t, Constant<1>> row_major{unknown(W), {}};
          multiply_panel(keys, n, s.weight, row_major, s.dy_rows + d, s.pitch, true, s.dv + k0 * s.pitch + d, s.pitch);
          multiply_panel(keys, n, s.slope, row_major, s.query_rows + d, s.pitch, true, s.dk + k0 * s.pitch + d,
                         s.pitch);
        }
        multiply_panel(D, keys, k.data, Left<Constant<1>, index_t>{{}, k.step}, s.slope, index_t(W), k0 > 0, s.dq,
                       index_t(W));
      }
      std::fill_n(s.product, W, in.scale);
      Panel::store(s.dq, s.product, n, D, in.row(out.dq, head, q0), out.dq.leading);
    }
    store_rows(s.dk, s.pitch, T, D, in.row(out.dk, head, 0), out.dk.leading);
    store_rows(s.dv, s.pitch, T, D, in.row(out.dv, head, 0), out.dv.leading);
  }
};

template <class Scalar>
void attention_forward(Context& context, const std::string& label, const Attention<Scalar>& in,
                       const AttentionResult<Scalar>& out) {
  using Kernel = AttentionForward<Scalar>;
  using A = accumulate_t<Scalar>;
  const index_t size = typename Kernel::Scratch(nullptr, in.D).size, threads = threads_of(context.exec());
  A* const scratch = static_cast<A*>(context.scratch(std::size_t(size * threads) * sizeof(A)));
  const index_t panels = (in.T + Kernel::W - 1) / Kernel::W;
  const Kernel kernel{{}, in, out};
  for_tasks(context.exec(), label, in.B * in.H * panels, [&](index_t slot, index_t task) {
    kernel(task / panels, task % panels * Kernel::W, typename Kernel::Scratch(scratch + slot * size, in.D));
  });
}

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
