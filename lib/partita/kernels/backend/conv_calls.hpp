// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/conv.hpp>
#include <partita/kernels/backend_choice.hpp>

// What the calls of convolutions share: checks of shapes and operands, and how a vendor is asked.

namespace partita::kernels::backend {

inline void require_kernel(const char* function, const Conv2dShape& s) {
  const auto found = [&] {
    const auto by = [](index_t rows, index_t columns) {
      return std::to_string(rows) + " x " + std::to_string(columns);
    };
    const bool same = s.above == s.padding && s.below == s.padding;
    const std::string rows_of_zeros =
        same ? "" : ", rows " + std::to_string(s.above) + " above and " + std::to_string(s.below) + " below";
    return "a kernel of " + by(s.kernel_rows, s.kernel_columns) + ", stride " + std::to_string(s.stride) +
           ", images of " + by(s.rows, s.columns) + ", padding " + std::to_string(s.padding) + rows_of_zeros + ", " +
           std::to_string(s.channels) + " channels, " + std::to_string(s.filters) + " filters";
  };
  const bool sane = s.rows >= 0 && s.columns >= 0 && s.channels >= 0 && s.filters >= 0 && s.kernel_rows > 0 &&
                    s.kernel_columns > 0 && s.stride > 0 && s.padding >= 0;
  if (!sane)
    refuse<ShapeError>(function, found(),
                       "a positive kernel and stride, and nothing negative but rows above and below");
  if (s.rows + s.above + s.below < s.kernel_rows || s.columns + 2 * s.padding < s.kernel_columns)
    refuse<ShapeError>(function, found(), "a kernel that fits the padded image");
}

template <class A, class C>
void require_convolved(const char* function, const Conv2dShape& s, const char* in_name, const A& in,
                       const char* out_name, const C& out) {
  require_kernel(function, s);
  require_images(function, in_name, in, out_name, out, s.inputs(), s.outputs());
}

template <class A>
void require_weights(const char* function, const Conv2dShape& s, const char* name, const A& W) {
  constexpr const char* expected = "(F, kernel rows x kernel columns x C)";
  require_extent(function, name, "rows", W.extent(0), "the shape", "filters", s.filters, expected);
  require_extent(function, name, "columns", W.extent(1), "a filter", "numbers", s.kernel(), expected);
}

template <class A>
void require_bias(const char* function, const Conv2dShape& s, const char* name, const A& b) {
  if (b.extent(0) > 0)
    require_extent(function, name, "elements", b.extent(0), "the shape", "filters", s.filters,
                   "one for each filter, or none");
}

template <class Scalar>
Images<Scalar> images(Scalar* data, std::size_t stride, index_t rows, index_t columns, index_t channels) {
  return {data, index_t(stride), rows, columns, channels};
}

/// The vendors' convolutions take whole images, one after the other.
template <class... Operands>
bool vendor_convolves(const Conv2dShape& s, const Operands&... operands) {
  const bool some = s.inputs() > 0 && s.outputs() > 0 && ((operands.extent(0) > 0) && ...);
  return some && ((operands.stride(0) == operands.extent(1)) && ...);
}

inline CallShape shape_of(kernels::Call call, std::size_t B, const Conv2dShape& s) {
  return {call,
          {index_t(B), s.rows, s.columns, s.channels, s.filters, s.kernel_rows, s.kernel_columns, s.stride, s.padding,
           s.above, s.below}};
}

}  // namespace partita::kernels::backend
