// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/pool2d.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/pool.hpp>

namespace partita::kernels {
namespace {

using backend::stride_of;

using backend::for_pixels;
using backend::pool_width;
using backend::PoolPixels;

/// First output row or column whose window reaches `at`, and the end of those. Windows start at o stride - padding;
/// what lies before the first one is in none.
struct Reach {
  index_t begin, end;

  KOKKOS_FUNCTION Reach(index_t at, index_t padding, index_t kernel, index_t stride, index_t outputs) {
    const index_t before = at + padding - kernel + 1;
    begin = before > 0 ? (before + stride - 1) / stride : 0;
    end = at + padding < 0 ? 0 : (at + padding) / stride + 1;
    if (end > outputs) end = outputs;
  }
};

/// body(tap, row, column) for the pixels in the window of output (r, c); what lies in the padding is left out.
template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void each_in_window(const Pool2dShape& s, index_t r, index_t c, const Body& body) {
  for (index_t i = 0; i < s.kernel_rows; ++i)
    for (index_t j = 0; j < s.kernel_columns; ++j) {
      const index_t row = r * s.stride - s.above + i, column = c * s.stride - s.padding + j;
      if (row < 0 || row >= s.rows || column < 0 || column >= s.columns) continue;
      body(std::int32_t(i * s.kernel_columns + j), row, column);
    }
}

/// body(tap, p, q) for the outputs (p, q) in whose windows pixel (r, c) is.
template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void each_window_of(const Pool2dShape& s, index_t r, index_t c, const Body& body) {
  const Reach over_rows(r, s.above, s.kernel_rows, s.stride, s.out_rows());
  const Reach over_columns(c, s.padding, s.kernel_columns, s.stride, s.out_columns());
  for (index_t p = over_rows.begin; p < over_rows.end; ++p)
    for (index_t q = over_columns.begin; q < over_columns.end; ++q) {
      const index_t i = r + s.above - p * s.stride, j = c + s.padding - q * s.stride;
      body(std::int32_t(i * s.kernel_columns + j), p, q);
    }
}

template <class Scalar>
struct MaxForward {
  using Real = accumulate_t<Scalar>;
  Pool2dShape s;
  PoolPixels<const Scalar> x;
  PoolPixels<Scalar> y;
  PoolPixels<std::int32_t> winner;

  KOKKOS_FUNCTION void pixel(index_t b, index_t r, index_t c, index_t first, index_t end) const {
    const int n = int(end - first);
    Real best[pool_width] = {};
    std::int32_t won[pool_width];
    for (int k = 0; k < n; ++k) won[k] = -1;
    bool any = false;
    each_in_window(s, r, c, [&](std::int32_t tap, index_t row, index_t column) {
      const Scalar* const from = x.at(b, row, column) + first;
      for (int k = 0; k < n; ++k) {
        const Real value = Real(from[k]);
        const bool wins = !any || !(value <= best[k]);  // also a NaN; nothing but a NaN beats a NaN
        const bool lost = any && best[k] != best[k] && value == value;
        best[k] = wins && !lost ? value : best[k];
        won[k] = wins && !lost ? tap : won[k];
      }
      any = true;
    });
    for (int k = 0; k < n; ++k) {
      y.at(b, r, c)[first + k] = Scalar(best[k]);
      winner.at(b, r, c)[first + k] = won[k];
    }
  }
};

template <class Scalar>
struct MaxBackward {
  using Real = accumulate_t<Scalar>;
  Pool2dShape s;
  PoolPixels<const Scalar> dy;
  PoolPixels<const std::int32_t> winner;
  PoolPixels<Scalar> dx;

  KOKKOS_FUNCTION void pixel(index_t b, index_t r, index_t c, index_t first, index_t end) const {
    const int n = int(end - first);
    Real sum[pool_width] = {};
    each_window_of(s, r, c, [&](std::int32_t tap, index_t p, index_t q) {
      const Scalar* const from = dy.at(b, p, q) + first;
      const std::int32_t* const won = winner.at(b, p, q) + first;
      for (int k = 0; k < n; ++k) sum[k] += won[k] == tap ? Real(from[k]) : Real(0);
    });
    for (int k = 0; k < n; ++k) dx.at(b, r, c)[first + k] = Scalar(sum[k]);
  }
};

template <class Scalar>
struct AverageForward {
  using Real = accumulate_t<Scalar>;
  Pool2dShape s;
  PoolPixels<const Scalar> x;
  PoolPixels<Scalar> y;

  KOKKOS_FUNCTION void pixel(index_t b, index_t r, index_t c, index_t first, index_t end) const {
    const int n = int(end - first);
    Real sum[pool_width] = {};
    each_in_window(s, r, c, [&](std::int32_t, index_t row, index_t column) {
      const Scalar* const from = x.at(b, row, column) + first;
      for (int k = 0; k < n; ++k) sum[k] += Real(from[k]);
    });
    const Real area = Real(s.kernel_rows * s.kernel_columns);
    for (int k = 0; k < n; ++k) y.at(b, r, c)[first + k] = Scalar(sum[k] / area);
  }
};

template <class Scalar>
struct AverageBackward {
  using Real = accumulate_t<Scalar>;
  Pool2dShape s;
  PoolPixels<const Scalar> dy;
  PoolPixels<Scalar> dx;

  KOKKOS_FUNCTION void pixel(index_t b, index_t r, index_t c, index_t first, index_t end) const {
    const int n = int(end - first);
    Real sum[pool_width] = {};
    each_window_of(s, r, c, [&](std::int32_t, index_t p, index_t q) {
      const Scalar* const from = dy.at(b, p, q) + first;
      for (int k = 0; k < n; ++k) sum[k] += Real(from[k]);
    });
    const Real area = Real(s.kernel_rows * s.kernel_columns);
    for (int k = 0; k < n; ++k) dx.at(b, r, c)[first + k] = Scalar(sum[k] / area);
  }
};

template <class View>
auto inputs(const Pool2dShape& s, const View& a) {
  return PoolPixels<typename View::value_type>{a.data(), stride_of(a), s.columns, s.channels};
}
template <class View>
auto outputs(const Pool2dShape& s, const View& a) {
  return PoolPixels<typename View::value_type>{a.data(), stride_of(a), s.out_columns(), s.channels};
}

template <class A, class C>
void require_pooled(const char* function, const Pool2dShape& s, const char* in_name, const A& in, const char* out_name,
                    const C& out) {
  const auto kernel = [&] {
    return "a kernel of " + std::to_string(s.kernel_rows) + " x " + std::to_string(s.kernel_columns) + ", stride " +
           std::to_string(s.stride) + ", padding " + std::to_string(s.padding);
  };
  if (s.kernel_rows <= 0 || s.kernel_columns <= 0 || s.stride <= 0 || s.padding < 0)
    refuse<ShapeError>(function, kernel(), "a positive kernel and stride, and padding that is not negative");
  const bool whole = s.above == s.padding && s.below == s.padding;  // a slice may read rows beyond its edges as padding
  if (2 * s.padding > s.kernel_columns || (whole && 2 * s.padding > s.kernel_rows))
    refuse<ShapeError>(function, kernel(), "padding of at most half the kernel");
  backend::require_images(function, in_name, in, out_name, out, s.inputs(), s.outputs());
}

}  // namespace

template <class Scalar>
void max_pool2d_forward(const Exec& exec, const Pool2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> x,
                        Matrix<Scalar> y, Matrix<std::int32_t> winner) {
  static const std::string label = "partita::kernels::max_pool2d_forward";
  require_pooled("max_pool2d_forward", s, "x", x, "y", y);
  require_pooled("max_pool2d_forward", s, "x", x, "winner", winner);
  for_pixels(exec, label, index_t(x.extent(0)), s.out_rows(), s.out_columns(), s.channels,
             MaxForward<Scalar>{s, inputs(s, x), outputs(s, y), outputs(s, winner)});
}

template <class Scalar>
void max_pool2d_backward(const Exec& exec, const Pool2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> dy,
                         ConstMatrix<std::int32_t> winner, Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::max_pool2d_backward";
  require_pooled("max_pool2d_backward", s, "dx", dx, "dy", dy);
  require_pooled("max_pool2d_backward", s, "dx", dx, "winner", winner);
  for_pixels(exec, label, index_t(dx.extent(0)), s.rows, s.columns, s.channels,
             MaxBackward<Scalar>{s, outputs(s, dy), outputs(s, winner), inputs(s, dx)});
}

template <class Scalar>
void average_pool2d_forward(const Exec& exec, const Pool2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> x,
                            Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::average_pool2d_forward";
  require_pooled("average_pool2d_forward", s, "x", x, "y", y);
  for_pixels(exec, label, index_t(x.extent(0)), s.out_rows(), s.out_columns(), s.channels,
             AverageForward<Scalar>{s, inputs(s, x), outputs(s, y)});
}

template <class Scalar>
void average_pool2d_backward(const Exec& exec, const Pool2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> dy,
                             Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::average_pool2d_backward";
  require_pooled("average_pool2d_backward", s, "dx", dx, "dy", dy);
  for_pixels(exec, label, index_t(dx.extent(0)), s.rows, s.columns, s.channels,
             AverageBackward<Scalar>{s, outputs(s, dy), inputs(s, dx)});
}

#define PARTITA_INSTANTIATE(S)                                                                                     \
  template void max_pool2d_forward<S>(const Exec&, const Pool2dShape&, ConstMatrix<S>, Matrix<S>,                  \
                                      Matrix<std::int32_t>);                                                       \
  template void max_pool2d_backward<S>(const Exec&, const Pool2dShape&, ConstMatrix<S>, ConstMatrix<std::int32_t>, \
                                       Matrix<S>);                                                                 \
  template void average_pool2d_forward<S>(const Exec&, const Pool2dShape&, ConstMatrix<S>, Matrix<S>);             \
  template void average_pool2d_backward<S>(const Exec&, const Pool2dShape&, ConstMatrix<S>, Matrix<S>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
