// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <partita/core/error.hpp>
#include <partita/core/types.hpp>

// The ShapeErrors of kernels, in the one grammar of refuse: they name the operands and both extents.

namespace partita::kernels::backend {

/// "f: a has 3 columns, b has 4 elements: expected ...", unless they are as many.
inline void require_extent(const char* function, const char* a, const char* of_a, std::size_t has, const char* b,
                           const char* of_b, std::size_t other, std::string_view expected) {
  if (has == other) return;
  const auto count = [](const char* name, std::size_t n, const char* of) {
    return std::string(name) + " has " + std::to_string(n) + " " + of;
  };
  refuse<ShapeError>(function, count(a, has, of_a) + ", " + count(b, other, of_b), expected);
}

/// "f: a has 3 elements, b has 4 elements: expected a (n) and b (n) with the same n", unless they are as long.
inline void require_length(const char* function, const char* a, std::size_t has, const char* b, std::size_t other) {
  if (has == other) return;
  require_extent(function, a, "elements", has, b, "elements", other,
                 std::string(a) + " (n) and " + b + " (n) with the same n");
}

/// "f: a is (2, 3), b is (2, 4): expected the same shape ...", unless the matrices are alike.
template <class A, class B>
void require_shape(const char* function, const char* a, const A& has, const char* b, const B& other,
                   const char* expected) {
  if (has.extent(0) == other.extent(0) && has.extent(1) == other.extent(1)) return;
  const auto shape = [](const char* name, const auto& of) {
    return std::string(name) + " is (" + std::to_string(of.extent(0)) + ", " + std::to_string(of.extent(1)) + ")";
  };
  refuse<ShapeError>(function, shape(a, has) + ", " + shape(b, other), std::string("the same shape ") + expected);
}

/// A vector of an operand's numbers, by its name.
struct NamedLength {
  const char* name;
  std::size_t length;
};

/// "f: gamma has 4 elements, x has 6 columns: expected one for each column of x (B, C)", for the first that is not so
/// long.
inline void require_per_column(const char* function, std::initializer_list<NamedLength> vectors, std::size_t columns) {
  for (const NamedLength& v : vectors)
    require_extent(function, v.name, "elements", v.length, "x", "columns", columns, "one for each column of x (B, C)");
}
inline void require_per_row(const char* function, std::initializer_list<NamedLength> vectors, std::size_t rows) {
  for (const NamedLength& v : vectors)
    require_extent(function, v.name, "elements", v.length, "x", "rows", rows, "one for each row of x (B, C)");
}

/// Rows that are images, `inputs` numbers each, and what is made of them, `outputs` each.
template <class In, class Out>
void require_images(const char* function, const char* in_name, const In& in, const char* out_name, const Out& out,
                    index_t inputs, index_t outputs) {
  require_extent(function, in_name, "columns", in.extent(1), "an image", "numbers", std::size_t(inputs),
                 "rows x columns x channels of them");
  require_extent(function, out_name, "rows", out.extent(0), in_name, "rows", in.extent(0), "one for each image");
  require_extent(function, out_name, "columns", out.extent(1), "an image of the outputs", "numbers",
                 std::size_t(outputs), "rows x columns x channels of them");
}

template <class View>
index_t stride_of(const View& a) {
  return index_t(a.stride(0));
}

}  // namespace partita::kernels::backend
