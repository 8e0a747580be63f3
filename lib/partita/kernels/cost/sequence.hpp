// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/cost/common.hpp>

namespace partita::kernels::cost {

/// Reads x, writes y. A number: maximum, subtraction, exp, addition, multiplication; a row: one division.
constexpr Cost softmax_forward(index_t B, index_t C, index_t element) {
  const double rows = double(B), numbers = rows * double(C);
  return {5 * numbers + rows, 2 * numbers * double(element)};
}

/// Reads y and dy, writes dx. A number: multiply-add (2), subtraction, multiplication.
constexpr Cost softmax_backward(index_t B, index_t C, index_t element) {
  const double numbers = double(B) * double(C);
  return {4 * numbers, 3 * numbers * double(element)};
}

/// Reads x, gamma, beta, writes y, mean, rstd (`statistic` bytes each). A number: sum (1), squares of what is centred
/// (3), scaled and shifted (4); a row: two divisions, + epsilon, root, reciprocal.
constexpr Cost layernorm_forward(index_t B, index_t C, index_t element, index_t statistic) {
  const double rows = double(B), numbers = rows * double(C);
  return {8 * numbers + 5 * rows, double(element) * (2 * numbers + 2 * double(C)) + 2 * rows * double(statistic)};
}
/// Reads x, gamma, mean, rstd, dy, writes dx. A number: the two sums and their terms (6), their subtraction (5).
constexpr Cost layernorm_backward_input(index_t B, index_t C, index_t element, index_t statistic) {
  const double rows = double(B), numbers = rows * double(C);
  return {11 * numbers + 2 * rows, double(element) * (3 * numbers + double(C)) + 2 * rows * double(statistic)};
}
/// Reads x, mean, rstd, dy, writes dgamma, dbeta. A number: normalised (2), multiply-add (2), addition (1).
constexpr Cost layernorm_backward_weights(index_t B, index_t C, index_t element, index_t statistic,
                                          Store store = Store::overwrite) {
  const double rows = double(B), numbers = rows * double(C);
  return Cost{5 * numbers, double(element) * 2 * numbers + 2 * rows * double(statistic)} +
         stored_sums(store, 2 * double(C), element);
}

/// As layernorm without mean and beta. A number: squares (2), scaled (2); a row: division, + epsilon, root, reciprocal.
constexpr Cost rmsnorm_forward(index_t B, index_t C, index_t element, index_t statistic) {
  const double rows = double(B), numbers = rows * double(C);
  return {4 * numbers + 4 * rows, double(element) * (2 * numbers + double(C)) + rows * double(statistic)};
}
/// A number: the sum and its term (4), its subtraction (3).
constexpr Cost rmsnorm_backward_input(index_t B, index_t C, index_t element, index_t statistic) {
  const double rows = double(B), numbers = rows * double(C);
  return {7 * numbers + rows, double(element) * (3 * numbers + double(C)) + rows * double(statistic)};
}
constexpr Cost rmsnorm_backward_weights(index_t B, index_t C, index_t element, index_t statistic,
                                        Store store = Store::overwrite) {
  const double rows = double(B), numbers = rows * double(C);
  return Cost{3 * numbers, double(element) * 2 * numbers + rows * double(statistic)} +
         stored_sums(store, double(C), element);
}

/// Pairs of a query and a key that it sees, over all samples and heads.
constexpr double attention_pairs(index_t B, Slice queries, index_t H, bool causal) {
  const double Q = double(queries.extent), first = double(queries.offset), T = double(queries.global);
  return double(B) * double(H) * (causal ? Q * first + Q * (Q + 1) / 2 : Q * T);
}

/// Reads q, k, v, writes y, lse (`statistic` bytes each). A pair: two products of 2 D, scaling, maximum, subtraction,
/// exp, addition. What masked pairs of a block, and rescaling, cost beyond that is the algorithm's own.
constexpr Cost attention_forward(index_t B, Slice queries, index_t H, index_t D, bool causal, index_t element,
                                 index_t statistic) {
  const double heads = double(B) * double(H), Q = double(queries.extent), T = double(queries.global);
  return {attention_pairs(B, queries, H, causal) * (4 * double(D) + 5) + heads * Q * double(D),
          heads * (2 * (Q + T) * double(D) * double(element) + Q * double(statistic))};
}

/// Reads q, k, v, y, dy, lse, writes dq, dk, dv. A pair: five products of 2 D, scaling, two subtractions, exp,
/// multiplication.
constexpr Cost attention_backward(index_t B, Slice queries, index_t H, index_t D, bool causal, index_t element,
                                  index_t statistic) {
  const double heads = double(B) * double(H), Q = double(queries.extent), T = double(queries.global);
  return {attention_pairs(B, queries, H, causal) * (10 * double(D) + 5) + 3 * heads * Q * double(D),
          heads * ((3 * Q + 5 * T) * double(D) * double(element) + Q * double(statistic))};
}

/// Reads a token and its rows of W (and of P, if `positions`), writes y: `rows` = B T.
constexpr Cost embedding_forward(index_t rows, index_t C, bool positions, index_t element) {
  const double numbers = double(rows) * double(C);
  return {positions ? numbers : 0, (positions ? 3 : 2) * numbers * double(element) + 4 * double(rows)};
}

/// Reads tokens and dy (once for dW, once for dP), writes dW (V, C) and dP (T, C).
constexpr Cost embedding_backward_weights(index_t rows, index_t T, index_t V, index_t C, bool positions,
                                          index_t element, Store store = Store::overwrite) {
  const double times = positions ? 2 : 1, numbers = double(rows) * double(C);
  const double written = double(C) * (double(V) + (positions ? double(T) : 0));
  return Cost{times * numbers, double(element) * times * numbers + 4 * double(rows)} +
         stored_sums(store, written, element);
}

/// Reads T tokens and their rows of W for each of B bags, writes y: T additions and a product by 1/T, a number.
constexpr Cost embedding_bag_forward(index_t B, index_t T, index_t C, index_t element) {
  const double words = double(B) * double(T), bags = double(B) * double(C);
  return {bags * (double(T) + 1), double(element) * (words * double(C) + bags) + 4 * words};
}

/// Reads tokens and dy, writes dW (V, C): a product by 1/T and an addition for each number of a word.
constexpr Cost embedding_bag_backward_weights(index_t B, index_t T, index_t V, index_t C, index_t element,
                                              Store store = Store::overwrite) {
  const double words = double(B) * double(T);
  return Cost{2 * words * double(C), double(element) * double(B) * double(C) + 4 * words} +
         stored_sums(store, double(V) * double(C), element);
}

}  // namespace partita::kernels::cost
