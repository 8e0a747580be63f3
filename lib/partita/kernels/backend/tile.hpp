// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <atomic>

#include <partita/kernels/backend/microkernel.hpp>
#include <partita/kernels/backend/range.hpp>

// Products of small matrices that lie in the caches already, as they lie there: no packing. For hosts.

namespace partita::kernels::backend::host {

/// One panel of C: as wide as two vectors. Its rows are as many as registers allow, at most.
template <class Scalar>
inline constexpr int panel_width = int(RegisterTile<Scalar>::columns);
inline constexpr int panel_rows = register_rows == 12 ? 8 : register_rows;

/// How A's element (i, k) is found: data[i * row + k * step]. One of the two is often a constant, which saves
/// registers.
template <class Row, class Step>
struct Left {
  Row row;
  Step step;
};
template <index_t value>
using Constant = std::integral_constant<index_t, value>;

/// A value that the compiler cannot know: it reads rows that are whole vectors apart as vectors, for an element of
/// each.
inline index_t unknown(index_t value) {
  asm("" : "+r"(value));
  return value;
}

/// A vector at any address. One at a time: the copy of two becomes copies of 16 bytes (see PartitaOptions.cmake).
template <class Scalar>
inline __attribute__((always_inline)) auto load(const Scalar* from) {
  typename RegisterTile<Scalar>::Simd value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class Scalar>
inline __attribute__((always_inline)) void store(typename RegisterTile<Scalar>::Simd value, Scalar* to) {
  std::memcpy(to, &value, sizeof value);
}

/// C(i, :) = [C(i, :) +] sum_k A(i, k) B(k, :), fma chains over ascending k, for i < rows. C's rows are c_step apart.
template <int rows, class Scalar, class Row, class Step>
inline __attribute__((always_inline)) void multiply_rows(index_t depth, const Scalar* a, Left<Row, Step> left,
                                                         const Scalar* b, index_t b_step, bool add, Scalar* c,
                                                         index_t c_step) {
  using Simd = typename RegisterTile<Scalar>::Simd;
  constexpr int lanes = RegisterTile<Scalar>::lanes;
  const auto multiply_add = [](Simd x, Simd y, Simd sum) __attribute__((always_inline)) {
    Simd result;
    for (int lane = 0; lane < lanes; ++lane) result[lane] = fused(x[lane], y[lane], sum[lane]);
    return result;
  };
  constexpr auto all = std::make_integer_sequence<int, rows>();
  Simd sum[rows][2] = {};
  const auto load_row = [&](int i) __attribute__((always_inline)) {
    sum[i][0] = load(c + i * c_step);
    sum[i][1] = load(c + i * c_step + lanes);
  };
  if (add) unrolled(load_row, all);
  for (index_t k = 0; k < depth; ++k) {
    const Simd low = load(b + k * b_step), high = load(b + k * b_step + lanes);
    const auto multiply_row = [&](int i) __attribute__((always_inline)) {
      const Simd element = a[i * left.row + k * left.step] - Simd{};
      sum[i][0] = multiply_add(element, low, sum[i][0]);
      sum[i][1] = multiply_add(element, high, sum[i][1]);
    };
    unrolled(multiply_row, all);
  }
  const auto store_row = [&](int i) __attribute__((always_inline)) {
    store(sum[i][0], c + i * c_step);
    store(sum[i][1], c + i * c_step + lanes);
  };
  unrolled(store_row, all);
}

/// The same for any number of rows.
template <class Scalar, class Row, class Step>
void multiply_panel(index_t rows, index_t depth, const Scalar* a, Left<Row, Step> left, const Scalar* b, index_t b_step,
                    bool add, Scalar* c, index_t c_step) {
  index_t i = 0;
  for (; i + panel_rows <= rows; i += panel_rows)
    multiply_rows<panel_rows>(depth, a + i * left.row, left, b, b_step, add, c + i * c_step, c_step);
  for (; i + 4 <= rows; i += 4) multiply_rows<4>(depth, a + i * left.row, left, b, b_step, add, c + i * c_step, c_step);
  for (; i < rows; ++i) multiply_rows<1>(depth, a + i * left.row, left, b, b_step, add, c + i * c_step, c_step);
}

/// Elements of a and b, chosen as by the concatenation of both.
template <class Simd, class Choice>
inline __attribute__((always_inline)) Simd shuffled(Simd a, Simd b, Choice choice) {
#if defined(__clang__)
  constexpr int lanes = int(sizeof(Simd) / sizeof(a[0]));
  Simd result;
  for (int lane = 0; lane < lanes; ++lane)
    result[lane] = choice[lane] < lanes ? a[choice[lane]] : b[choice[lane] - lanes];
  return result;
#else
  return __builtin_shuffle(a, b, choice);
#endif
}

/// to(j, i) = from(i, j) for one square of vectors, exchanged in registers: halves, quarters, ...
template <class Scalar>
inline __attribute__((always_inline)) void transpose_square(const Scalar* from, index_t from_step, Scalar* to,
                                                            index_t to_step) {
  using Simd = typename RegisterTile<Scalar>::Simd;
  constexpr int lanes = RegisterTile<Scalar>::lanes;
  using Integer = std::conditional_t<sizeof(Scalar) == 4, std::int32_t, std::int64_t>;
  typedef Integer Choice __attribute__((vector_size(vector_bytes)));
  Simd row[lanes];
  const auto load_row = [&](int i) __attribute__((always_inline)) { row[i] = load(from + i * from_step); };
  unrolled(load_row, std::make_integer_sequence<int, lanes>());
  const auto exchange = [&](int distance) __attribute__((always_inline)) {
    Choice low, high;
    for (int j = 0; j < lanes; ++j) {
      low[j] = Integer((j & distance) == 0 ? j : j - distance + lanes);
      high[j] = Integer((j & distance) == 0 ? j + distance : j + lanes);
    }
    const auto pair = [&](int i) __attribute__((always_inline)) {
      if ((i & distance) != 0) return;
      const Simd a = row[i], b = row[i + distance];
      row[i] = shuffled(a, b, low);
      row[i + distance] = shuffled(a, b, high);
    };
    unrolled(pair, std::make_integer_sequence<int, lanes>());
  };
  if constexpr (lanes > 8) exchange(8);
  if constexpr (lanes > 4) exchange(4);
  if constexpr (lanes > 2) exchange(2);
  exchange(1);
  const auto store_row = [&](int i) __attribute__((always_inline)) { store(row[i], to + i * to_step); };
  unrolled(store_row, std::make_integer_sequence<int, lanes>());
}

/// to(j, i) = from(i, j), converted from or to 16 bits on the way.
template <class From, class To>
void transpose(index_t rows, index_t columns, const From* from, index_t from_step, To* to, index_t to_step) {
  index_t i = 0;
  if constexpr (std::is_same_v<From, To>) {
    constexpr int lanes = RegisterTile<From>::lanes;
    for (; i + lanes <= rows; i += lanes) {
      index_t j = 0;
      for (; j + lanes <= columns; j += lanes)
        transpose_square(from + i * from_step + j, from_step, to + j * to_step + i, to_step);
      for (; j < columns; ++j)
        for (index_t w = 0; w < lanes; ++w) to[j * to_step + i + w] = from[(i + w) * from_step + j];
    }
  }
  for (; i < rows; ++i)
    for (index_t j = 0; j < columns; ++j) to[j * to_step + i] = To(from[i * from_step + j]);
}

/// body(slot, task) for 0 <= task < tasks, each once, in any order; no two at a time have the same
/// slot < threads_of(exec). Kernels of hosts have run when their launch returns, so the count may live here.
template <class Body>
void for_tasks(const Exec& exec, const std::string& label, index_t tasks, const Body& body) {
  std::atomic<index_t> next = 0;
  Kokkos::parallel_for(label, range_policy(exec, threads_of(exec)), [&](index_t slot) {
    for (index_t task = next++; task < tasks; task = next++) body(slot, task);
  });
}

}  // namespace partita::kernels::backend::host
