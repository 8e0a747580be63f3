// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/error.hpp>
#include <partita/core/types.hpp>

// The ShapeErrors of kernels: they name the operand and both extents.

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

/// "function: name has 3 elements, expected 4, as many as x has columns".
inline void require(const char* function, const char* name, std::size_t has, const char* of, std::size_t expected,
                    const char* meaning) {
  if (has == expected) return;
  throw ShapeError(std::string(function) + ": " + name + " has " + std::to_string(has) + " " + of + ", expected " +
                   std::to_string(expected) + ", " + meaning);
}

template <class Vector>
void require_elements(const char* function, const char* name, const Vector& v, std::size_t expected,
                      const char* meaning) {
  require(function, name, v.extent(0), "elements", expected, meaning);
}

template <class Matrix>
void require_matrix(const char* function, const char* name, const Matrix& a, std::size_t rows, const char* rows_meaning,
                    std::size_t columns, const char* columns_meaning) {
  require(function, name, a.extent(0), "rows", rows, rows_meaning);
  require(function, name, a.extent(1), "columns", columns, columns_meaning);
}

/// An operand of the shape of x.
template <class A, class B>
void require_like_x(const char* function, const char* name, const A& a, const B& x) {
  require_matrix(function, name, a, x.extent(0), "the rows of x", x.extent(1), "the columns of x");
}

template <class View>
index_t stride_of(const View& a) {
  return index_t(a.stride(0));
}

}  // namespace partita::kernels::backend
