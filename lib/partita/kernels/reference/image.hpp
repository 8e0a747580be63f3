// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <partita/core/float16.hpp>
#include <partita/kernels/conv2d_shape.hpp>

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
                sum = std::fma(pixel(x, s.rows, s.columns, s.channels, image, r * s.stride - s.padding + i,
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
                const index_t over_row = r + s.padding - i, over_column = c + s.padding - j;  // stride x output pixel
                if (over_row % s.stride != 0 || over_column % s.stride != 0) continue;
                sum = std::fma(pixel(dy, s.out_rows(), s.out_columns(), s.filters, image, over_row / s.stride,
                                     over_column / s.stride, f),
                               Sum(W[((f * s.kernel_rows + i) * s.kernel_columns + j) * s.channels + k]), sum);
              }
          dx.push_back(Scalar(sum));
        }
  return dx;
}

/// dW (F, kernel_rows, kernel_columns, C) and db (F), each the sum of the sums of at most conv2d_chunks chunks.
template <class Scalar>
std::pair<std::vector<Scalar>, std::vector<Scalar>> conv2d_backward_weights(const Conv2dShape& s,
                                                                            const std::vector<Scalar>& x,
                                                                            const std::vector<Scalar>& dy, index_t B) {
  using Sum = accumulate_t<Scalar>;
  const index_t chunks = std::min(B, conv2d_chunks), kernel = s.kernel();
  std::vector<Sum> dW(s.filters * kernel), db(s.filters);
  for (index_t chunk = 0; chunk < chunks; ++chunk) {
    std::vector<Sum> dW_part(dW.size()), db_part(db.size());
    for (index_t image = chunk * B / chunks; image < (chunk + 1) * B / chunks; ++image)
      for (index_t r = 0; r < s.out_rows(); ++r)
        for (index_t c = 0; c < s.out_columns(); ++c)
          for (index_t f = 0; f < s.filters; ++f) {
            const Sum slope = pixel(dy, s.out_rows(), s.out_columns(), s.filters, image, r, c, f);
            db_part[f] += slope;
            for (index_t e = 0; e < kernel; ++e) {
              const index_t tap = e / s.channels;
              Sum& sum = dW_part[f * kernel + e];
              sum = std::fma(
                  slope,
                  pixel(x, s.rows, s.columns, s.channels, image, r * s.stride - s.padding + tap / s.kernel_columns,
                        c * s.stride - s.padding + tap % s.kernel_columns, e % s.channels),
                  sum);
            }
          }
    for (std::size_t e = 0; e < dW.size(); ++e) dW[e] += dW_part[e];
    for (std::size_t f = 0; f < db.size(); ++f) db[f] += db_part[f];
  }
  std::vector<Scalar> dW_rounded, db_rounded;
  for (Sum sum : dW) dW_rounded.push_back(Scalar(sum));
  for (Sum sum : db) db_rounded.push_back(Scalar(sum));
  return {dW_rounded, db_rounded};
}

}  // namespace partita::kernels::reference
