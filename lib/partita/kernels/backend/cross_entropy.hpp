// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <type_traits>

#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/backend/rows.hpp>
#include <partita/kernels/math.hpp>

// The halves of a row's cross-entropy, shared by the loss of whole rows and that of split ones: the same bits.

namespace partita::kernels::backend {

/// Scores' exponentials are kept in their own type until the sum of all is known; of 16 bits they are found again.
template <class Scalar>
inline constexpr bool keeps_exponentials = std::is_same_v<accumulate_t<Scalar>, Scalar>;

/// The sum of exp(z_v - top) over n columns, as a tree over `leaves` of them. `gradient`, if any, is given what
/// softmax_gradient finds there.
template <class Row, class Scalar>
KOKKOS_FORCEINLINE_FUNCTION double sum_of_exponentials(const Row& row, const Scalar* z, index_t n, index_t leaves,
                                                       accumulate_t<Scalar> top, Scalar* gradient) {
  using Number = accumulate_t<Scalar>;
  if (keeps_exponentials<Scalar> && gradient != nullptr) {
    // One loop for both would be no vector loop.
    row.each(n, [=](index_t v) { gradient[v] = Scalar(math::exp(Number(z[v]) - top)); });
    return sum_of_leaves<double>(row, n, leaves, [=](index_t v) { return double(gradient[v]); });
  }
  return sum_of_leaves<double>(row, n, leaves, [=](index_t v) { return double(math::exp(Number(z[v]) - top)); });
}

/// gradient_v = scale (exp(z_v - top) / sum - [v = target]) of n columns; a target outside of them is none of them.
template <class Row, class Scalar>
KOKKOS_FORCEINLINE_FUNCTION void softmax_gradient(const Row& row, const Scalar* z, index_t n, index_t target,
                                                  double at_target, accumulate_t<Scalar> top, double sum, double scale,
                                                  Scalar* gradient) {
  using Number = accumulate_t<Scalar>;
  const double share = scale / sum;
  const auto narrow = Number(share);
  const auto corrected = Scalar(Number(double(math::exp(Number(at_target) - top)) * share - scale));
  row.each(n, [=](index_t v) {
    const Number e = keeps_exponentials<Scalar> ? Number(gradient[v]) : math::exp(Number(z[v]) - top);
    gradient[v] = v == target ? corrected : Scalar(e * narrow);
  });
}

KOKKOS_FORCEINLINE_FUNCTION double cross_entropy_of(double sum, double top, double at_target) {
  return Kokkos::log(sum) + (top - at_target);
}

/// What a row leaves behind for the sum over rows.
struct RowResult {
  double loss;
  index_t correct;
};

/// One thread adds the rows in ascending order: the sum must not depend on how many threads there are.
struct SumRows {
  index_t B;
  const RowResult* row;
  double* loss_sum;
  index_t* correct;  // null: not asked for

  KOKKOS_FUNCTION void operator()(index_t) const {
    double loss = 0;
    index_t hits = 0;
    for (index_t b = 0; b < B; ++b) {
      loss += row[b].loss;
      hits += row[b].correct;
    }
    *loss_sum = loss;
    if (correct != nullptr) *correct = hits;
  }
};

inline void sum_rows(const Exec& exec, const std::string& label, index_t B, const RowResult* row, double* loss_sum,
                     index_t* correct) {
  Kokkos::parallel_for(label, range_policy(exec, 1), SumRows{B, row, loss_sum, correct});
}

}  // namespace partita::kernels::backend
