// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/error.hpp>

// The ShapeErrors of kernels: one wording.

namespace partita::kernels::backend {

/// "f: a has 3 columns, b has 4 elements: expected ...", unless `has` is `other`.
inline void require_extent(const char* function, const char* a, const char* of_a, std::size_t has, const char* b,
                           const char* of_b, std::size_t other, const char* expected) {
  if (has == other) return;
  throw ShapeError(std::string(function) + ": " + a + " has " + std::to_string(has) + " " + of_a + ", " + b + " has " +
                   std::to_string(other) + " " + of_b + ": expected " + expected);
}

/// "f: a is (2, 3), b is (2, 4): expected the same shape ...", unless the matrices are alike.
template <class A, class B>
void require_shape(const char* function, const char* a, const A& has, const char* b, const B& other,
                   const char* expected) {
  if (has.extent(0) == other.extent(0) && has.extent(1) == other.extent(1)) return;
  const auto shape = [](const auto& of) {
    return "(" + std::to_string(of.extent(0)) + ", " + std::to_string(of.extent(1)) + ")";
  };
  throw ShapeError(std::string(function) + ": " + a + " is " + shape(has) + ", " + b + " is " + shape(other) +
                   ": expected the same shape " + expected);
}

}  // namespace partita::kernels::backend
