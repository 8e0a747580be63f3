// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <partita/core/float16.hpp>
#include <partita/kernels/conv2d_shape.hpp>
#include <partita/kernels/pool2d.hpp>

// Images are channels-last, one after the other. Sums are in accumulate_t<Scalar>, in the order of the portable
// kernels.

namespace partita::kernels::reference {

/// x(b, r, c, k), or 0 beyond the edge.
template <class Scalar>
accumulate_t<Scalar> pixel(const std::vector<Scalar>& x, index_t rows, index_t columns, index_t channels, index_t b,
                           index_t r, index_t c, index_t k) {
  if (r < 0 || r >= rows || c < 0 || c >= columns) return 0;
  return accumulate_t<Scalar>(x[((b * rows + r) * columns + c) * channels + k]);
}

/// y (B, out_rows, out_columns, F) = b (F, or empty) + x correlated with W (F, kernel_rows, kernel_columns, C).
template <class Scalar>
std::vector<Scalar> conv2d_forward(const Conv2dShape& s, const std::vector<Scalar>& x, const std::vector<Scalar>& W,
                                   const std::vector<Scalar>& b, index_t B) {
  using Sum = accumulate_t<Scalar>;
  std::vector<Scalar> y;
  for (index_t image = 0; image < B; ++image)
    for (index_t r = 0; r < s.out_rows(); ++r)
      for (index_t c = 0; c < s.out_columns(); ++c)
        for (index_t f = 0; f < s.filters; ++f) {
          Sum sum = 0;
          for (index_t i = 0; i < s.kernel_rows; ++i)
            for (index_t j = 0; j < s.kernel_columns; ++j)
              for (index_t k = 0; k < s.channels; ++k)
                sum = std::fma(pixel(x, s.rows, s.columns, s.channels, image, r * s.stride - s.above + i,
                                     c * s.stride - s.padding + j, k),
                               Sum(W[((f * s.kernel_rows + i) * s.kernel_columns + j) * s.channels + k]), sum);
          y.push_back(Scalar(b.empty() ? sum : sum + Sum(b[f])));
        }
  return y;
}

/// dx (B, rows, columns, C) from dy: what each output pixel that saw this one says of it, in ascending order of
/// outputs.
template <class Scalar>
std::vector<Scalar> conv2d_backward_input(const Conv2dShape& s, const std::vector<Scalar>& dy,
                                          const std::vector<Scalar>& W, index_t B) {
  using Sum = accumulate_t<Scalar>;
  std::vector<Scalar> dx;
  for (index_t image = 0; image < B; ++image)
    for (index_t r = 0; r < s.rows; ++r)
      for (index_t c = 0; c < s.columns; ++c)
        for (index_t k = 0; k < s.channels; ++k) {
          Sum sum = 0;
          for (index_t i = s.kernel_rows - 1; i >= 0; --i)
            for (index_t j = s.kernel_columns - 1; j >= 0; --j)
              for (index_t f = 0; f < s.filters; ++f) {
                const index_t over_row = r + s.above - i, over_column = c + s.padding - j;  // stride x output pixel
                if (over_row % s.stride != 0 || over_column % s.stride != 0) continue;
                sum = std::fma(pixel(dy, s.out_rows(), s.out_columns(), s.filters, image, over_row / s.stride,
                                     over_column / s.stride, f),
                               Sum(W[((f * s.kernel_rows + i) * s.kernel_columns + j) * s.channels + k]), sum);
              }
          dx.push_back(Scalar(sum));
        }
  return dx;
}

/// dW (F, kernel_rows, kernel_columns, C) and db (F), each the sum of the sums of at most conv2d_chunks chunks, over
/// some rows of the outputs.
template <class Scalar, class Sum = accumulate_t<Scalar>>
std::pair<std::vector<Sum>, std::vector<Sum>> conv2d_backward_weights(const Conv2dShape& s,
                                                                      const std::vector<Scalar>& x,
                                                                      const std::vector<Scalar>& dy, index_t B,
                                                                      index_t first_row, index_t end_row) {
  const index_t chunks = std::min(B, conv2d_chunks), kernel = s.kernel();
  std::vector<Sum> dW(s.filters * kernel), db(s.filters);
  for (index_t chunk = 0; chunk < chunks; ++chunk) {
    std::vector<Sum> dW_part(dW.size()), db_part(db.size());
    for (index_t image = chunk * B / chunks; image < (chunk + 1) * B / chunks; ++image)
      for (index_t r = first_row; r < end_row; ++r)
        for (index_t c = 0; c < s.out_columns(); ++c)
          for (index_t f = 0; f < s.filters; ++f) {
            const Sum slope = pixel(dy, s.out_rows(), s.out_columns(), s.filters, image, r, c, f);
            db_part[f] += slope;
            for (index_t e = 0; e < kernel; ++e) {
              const index_t tap = e / s.channels;
              Sum& sum = dW_part[f * kernel + e];
              sum = std::fma(
                  slope,
                  pixel(x, s.rows, s.columns, s.channels, image, r * s.stride - s.above + tap / s.kernel_columns,
                        c * s.stride - s.padding + tap % s.kernel_columns, e % s.channels),
                  sum);
            }
          }
    for (std::size_t e = 0; e < dW.size(); ++e) dW[e] += dW_part[e];
    for (std::size_t f = 0; f < db.size(); ++f) db[f] += db_part[f];
  }
  return {dW, db};
}

/// Over all rows.
template <class Scalar>
auto conv2d_backward_weights(const Conv2dShape& s, const std::vector<Scalar>& x, const std::vector<Scalar>& dy,
                             index_t B) {
  return conv2d_backward_weights(s, x, dy, B, 0, s.out_rows());
}

/// Calls visit(output, input, tap) with the indices of output (b, r, c, k), of the pixel x(b, ., ., k) below a tap of
/// its window and of that tap, for all taps inside the image, in ascending order.
template <class Visit>
void for_windows(const Pool2dShape& s, index_t B, const Visit& visit) {
  for (index_t at = 0; at < B * s.outputs(); ++at) {
    const index_t k = at % s.channels, c = at / s.channels % s.out_columns();
    const index_t r = at / s.channels / s.out_columns() % s.out_rows(), b = at / s.outputs();
    for (index_t tap = 0; tap < s.kernel_rows * s.kernel_columns; ++tap) {
      const index_t row = r * s.stride - s.above + tap / s.kernel_columns;
      const index_t column = c * s.stride - s.padding + tap % s.kernel_columns;
      if (row >= 0 && row < s.rows && column >= 0 && column < s.columns)
        visit(at, ((b * s.rows + row) * s.columns + column) * s.channels + k, tap);
    }
  }
}

/// y and the winners (B, out_rows, out_columns, C).
template <class Scalar>
std::pair<std::vector<Scalar>, std::vector<std::int32_t>> max_pool2d_forward(const Pool2dShape& s,
                                                                             const std::vector<Scalar>& x, index_t B) {
  std::vector<Scalar> y(B * s.outputs());
  std::vector<std::int32_t> winner(B * s.outputs(), -1);
  for_windows(s, B, [&](index_t out, index_t in, index_t tap) {
    const double value = double(x[in]), best = double(y[out]);
    if (winner[out] < 0 || value > best || std::isnan(value)) y[out] = x[in], winner[out] = std::int32_t(tap);
  });
  return {y, winner};
}

template <class Scalar>
std::vector<Scalar> max_pool2d_backward(const Pool2dShape& s, const std::vector<Scalar>& dy,
                                        const std::vector<std::int32_t>& winner, index_t B) {
  std::vector<accumulate_t<Scalar>> dx(B * s.inputs());
  for_windows(s, B, [&](index_t out, index_t in, index_t tap) {
    if (winner[out] == tap) dx[in] += accumulate_t<Scalar>(dy[out]);
  });
  std::vector<Scalar> rounded;
  for (auto sum : dx) rounded.push_back(Scalar(sum));
  return rounded;
}

template <class Scalar>
std::vector<Scalar> average_pool2d_forward(const Pool2dShape& s, const std::vector<Scalar>& x, index_t B) {
  using Sum = accumulate_t<Scalar>;
  std::vector<Sum> y(B * s.outputs());
  for_windows(s, B, [&](index_t out, index_t in, index_t) { y[out] += Sum(x[in]); });
  std::vector<Scalar> rounded;
  for (Sum sum : y) rounded.push_back(Scalar(sum / Sum(s.kernel_rows * s.kernel_columns)));
  return rounded;
}

template <class Scalar>
std::vector<Scalar> average_pool2d_backward(const Pool2dShape& s, const std::vector<Scalar>& dy, index_t B) {
  using Sum = accumulate_t<Scalar>;
  std::vector<Sum> dx(B * s.inputs());
  for_windows(s, B, [&](index_t out, index_t in, index_t) { dx[in] += Sum(dy[out]); });
  std::vector<Scalar> rounded;
  for (Sum sum : dx) rounded.push_back(Scalar(sum / Sum(s.kernel_rows * s.kernel_columns)));
  return rounded;
}

/// y (B, C) from x (B, pixels, C).
template <class Scalar>
std::vector<Scalar> global_average_pool2d_forward(const std::vector<Scalar>& x, index_t B, index_t pixels, index_t C) {
  using Sum = accumulate_t<Scalar>;
  std::vector<Scalar> y;
  for (index_t b = 0; b < B; ++b)
    for (index_t c = 0; c < C; ++c) {
      Sum sum = 0;
      for (index_t p = 0; p < pixels; ++p) sum += Sum(x[(b * pixels + p) * C + c]);
      y.push_back(Scalar(sum / Sum(std::max<index_t>(pixels, 1))));
    }
  return y;
}

template <class Scalar>
std::vector<Scalar> global_average_pool2d_backward(const std::vector<Scalar>& dy, index_t B, index_t pixels,
                                                   index_t C) {
  using Sum = accumulate_t<Scalar>;
  std::vector<Scalar> dx;
  for (index_t i = 0; i < B * pixels * C; ++i)
    dx.push_back(Scalar(Sum(dy[i / (pixels * C) * C + i % C]) / Sum(pixels)));
  return dx;
}

}  // namespace partita::kernels::reference
