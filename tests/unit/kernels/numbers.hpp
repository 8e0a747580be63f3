// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <functional>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

// Kernels of any type against references in double.

namespace partita::kernels::test {

using reference::Numbers;

template <class Scalar>
Numbers in_double(const std::vector<Scalar>& values) {
  Numbers numbers;
  for (const Scalar& value : values) numbers.push_back(double(value));
  return numbers;
}

inline double largest(const Numbers& values) {
  double most = 0;
  for (double value : values) most = std::max(most, std::abs(value));
  return most;
}

/// Each value within `error` of what is expected, plus its rounding to the type it is stored in.
template <class Scalar>
::testing::AssertionResult close(const std::vector<Scalar>& values, const Numbers& expected, double error) {
  std::vector<double> bound;
  for (double number : expected) bound.push_back(error + unit_roundoff<Scalar> * (std::abs(number) + error));
  return within(in_double(values), expected, bound);
}

/// Roundoff of the type that Scalar is computed in.
template <class Scalar>
inline constexpr double roundoff = unit_roundoff<accumulate_t<Scalar>>;

/// Error of central differences of functions whose third derivatives are at most some hundred: see gradient.cpp.
inline const double difference_step = std::cbrt(unit_roundoff<double>);
inline const double difference_error = 100 * difference_step * difference_step;

/// `gradient` against central differences of loss(operand) at `operand`.
template <class Function>
void expect_slope(const Function& loss, std::vector<double> operand, const std::vector<double>& gradient) {
  for (std::size_t i = 0; i < operand.size(); ++i) {
    const double at = operand[i];
    operand[i] = at + difference_step;
    const double up = loss(operand);
    operand[i] = at - difference_step;
    const double down = loss(operand);
    operand[i] = at;
    EXPECT_NEAR(gradient[i], (up - down) / (2 * difference_step), difference_error) << "element " << i;
  }
}

inline double product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

using AllScalars = ::testing::Types<float, double, bfloat16, float16>;

}  // namespace partita::kernels::test
