// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/kernels/backend/range.hpp>

// What all of pooling shares: images channels-last, and tasks of a row of pixels or of a number.

namespace partita::kernels::backend {

inline constexpr index_t pool_width = runs_on_host ? 64 : 1;  // channels side by side: vector lanes here, threads there

/// Images of a call: where pixel (b, r, c) starts.
template <class Scalar>
struct PoolPixels {
  Scalar* data;
  index_t stride, columns, channels;

  KOKKOS_FUNCTION Scalar* at(index_t b, index_t r, index_t c) const {
    return data + b * stride + (r * columns + c) * channels;
  }
};

/// Runs body.pixel(b, r, c, first channel, end channel). On hosts a task is a row of pixels, on devices a number.
template <class Body>
struct PixelTasks {
  Body body;
  index_t rows, columns, channels;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    if constexpr (runs_on_host) {
      const Body local = body;
      for (index_t c = 0; c < columns; ++c)
        for (index_t k = 0; k < channels; k += pool_width)
          local.pixel(task / rows, task % rows, c, k, k + pool_width < channels ? k + pool_width : channels);
    } else {
      const index_t k = task % channels, pixel = task / channels, in_image = pixel % (rows * columns);
      body.pixel(pixel / (rows * columns), in_image / columns, in_image % columns, k, k + 1);
    }
  }
};

template <class Body>
void for_pixels(const Exec& exec, const std::string& label, index_t B, index_t rows, index_t columns, index_t channels,
                const Body& body) {
  Kokkos::parallel_for(label, range_policy(exec, runs_on_host ? B * rows : B * rows * columns * channels),
                       PixelTasks<Body>{body, rows, columns, channels});
}

}  // namespace partita::kernels::backend
