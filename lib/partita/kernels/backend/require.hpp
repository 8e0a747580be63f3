// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/error.hpp>
#include <partita/core/types.hpp>

// Checks of operands whose errors name the operand and both extents.

namespace partita::kernels::backend {

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

template <class View>
index_t stride_of(const View& a) {
  return index_t(a.stride(0));
}

}  // namespace partita::kernels::backend
