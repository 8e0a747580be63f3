// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <partita/kernels/backend/attention.hpp>
#include <partita/kernels/backend/tile.hpp>
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
  /// No infinity and no NaN among `rows` of `columns` numbers.
  static bool finite(const A* from, index_t leading, index_t rows, index_t columns) {
    // Without its sign a number's bits grow with it, and integers are compared and counted in vectors.
    using Bits = std::conditional_t<sizeof(A) == 4, std::uint32_t, std::uint64_t>;
    constexpr Bits size = ~Bits(0) >> 1, first_infinite = std::bit_cast<Bits>(infinity);
    Bits infinite = 0;
    for (index_t i = 0; i < rows; ++i) {
      const A* const row = from + i * leading;
      for (index_t j = 0; j < columns; ++j) infinite += (std::bit_cast<Bits>(row[j]) & size) >= first_infinite;
    }
    return infinite == 0;
  }
  /// How many of the keys [k0, k0 + keys) every query from q0 on sees.
  static index_t seen_by_all(bool causal, index_t q0, index_t k0, index_t keys) {
    return causal ? std::clamp<index_t>(q0 + 1 - k0, 0, keys) : keys;
  }
  /// output(:, w) += sum over j of values(j, :) score(j, w), key j = [k0 + from, k0 + keys) only for the queries w that
  /// see it: elsewhere the weight is 0, and 0 times an infinity would be NaN.
  static void add_seen(index_t q0, index_t k0, index_t from, index_t keys, index_t D, Block<A> values, const A* score,
                       A* output) {
    for (index_t d = 0; d < D; ++d)
      for (index_t j = from; j < keys; ++j) {
        const A value = values.data[j * values.step + d];
        for (index_t w = k0 + j - q0; w < W; ++w)
          output[d * W + w] = math::fused(value, score[j * W + w], output[d * W + w]);
      }
  }
  /// Scores of keys [k0, k0 + keys) that queries from q0 on do not see become `value`.
  static void mask(index_t q0, index_t k0, index_t keys, A value, A* score) {
    for (index_t j = std::max<index_t>(0, q0 + 1 - k0); j < keys; ++j) {
      const int hidden = int(std::min<index_t>(W, k0 + j - q0));
      for (int w = 0; w < hidden; ++w) score[j * W + w] = value;
    }
  }
};

}  // namespace partita::kernels::backend::host
