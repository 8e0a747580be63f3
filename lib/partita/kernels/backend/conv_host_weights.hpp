// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/conv_host.hpp>

// Weight gradients of a convolution on hosts: a register tile is filters x neighbouring elements below a row of taps;
// its sums run over the output pixels of a chunk of images, band by band.

namespace partita::kernels::backend::host {

/// How the work is cut: chunks of images, which are summed apart, and blocks of filters, if there are few images.
struct WeightPlan {
  index_t chunks, parts, part_filters;

  WeightPlan(index_t B, index_t filters, index_t threads) : chunks(weight_chunks(B)) {
    const index_t wanted = chunks < 2 * threads ? quotient_up(2 * threads, std::max<index_t>(1, chunks)) : 1;
    part_filters = std::max<index_t>(8, multiple_up(quotient_up(filters, wanted), 8));
    parts = quotient_up(filters, part_filters);
  }
};

/// tile(f, e) += sum over the band's pixels of dy(pixel, f) band(pixel, e), f < filters, e < columns.
template <int vectors, class Sum>
void accumulate_filters(const Walk& walk, const Sum* dy, const Sum* band, index_t filters, Sum* tile, index_t pitch) {
  const index_t tiles = quotient_up(filters, most_rows<vectors>);
  for (index_t part = 0; part < tiles; ++part) {
    const index_t f = part * filters / tiles, end = (part + 1) * filters / tiles;
    tile_function<vectors, true, Sum>(int(end - f))(walk, dy + f, band, tile + f * pitch, pitch);
  }
}

/// total(f, i, e) = sum over chunks in order, from partial sums whose runs of e are padded.
template <class Scalar, class Sum>
struct AddChunks {
  const Sum* partial;
  index_t chunks, chunk_size, run, padded_run, runs;  // runs: of e in one filter
  Scalar* total;
  index_t filter_stride;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t f = task / runs, i = task % runs;
    const Sum* const from = partial + task * padded_run;
    Scalar* const to = total + f * filter_stride + i * run;
    for (index_t e = 0; e < run; ++e) {
      Sum sum = 0;
      for (index_t chunk = 0; chunk < chunks; ++chunk) sum += from[chunk * chunk_size + e];
      to[e] = Scalar(sum);
    }
  }
};

template <class Scalar>
void correlate_weights(Context& context, const ConvLabels& labels, index_t B, const Conv2dShape& s,
                       Images<const Scalar> x, Images<const Scalar> dy, Matrix<Scalar> dW) {
  using Sum = accumulate_t<Scalar>;
  constexpr index_t lanes = RegisterTile<Sum>::lanes;
  constexpr bool same = std::is_same_v<Scalar, Sum>;
  constexpr index_t line = 64 / index_t(sizeof(Sum));
  const Exec& exec = context.exec();
  const index_t F = s.filters, run = s.kernel_columns * s.channels, padded_run = multiple_up(run, lanes);
  const index_t out_rows = s.out_rows(), out_columns = s.out_columns();
  const index_t band_columns = out_columns > 0 ? (out_columns - 1) * s.stride + s.kernel_columns : 0;
  const index_t out_row = out_columns * F;
  if (out_row * out_rows == 0) B = 0;

  const WeightPlan plan(B, F, threads_of(exec));
  const Bands bands(std::max<index_t>(B, 1), std::max<index_t>(out_rows, 1), s.stride, s.kernel_rows,
                    band_columns * s.channels, 1);
  const index_t band_size =
      multiple_up(((bands.rows - 1) * s.stride + s.kernel_rows) * band_columns * s.channels + padded_run, line);
  const index_t dy_size = same ? 0 : multiple_up(bands.rows * out_row, line);
  const index_t chunk_size = F * s.kernel_rows * padded_run, tasks = plan.chunks * plan.parts;
  const index_t own_offset = multiple_up(plan.chunks * chunk_size, line), own_size = band_size + dy_size;
  Sum* const scratch = static_cast<Sum*>(context.scratch((own_offset + tasks * own_size) * sizeof(Sum)));

  using Dynamic = Kokkos::Schedule<Kokkos::Dynamic>;
  if (tasks > 0)
    Kokkos::parallel_for(labels.multiply, range_policy<Dynamic>(exec, tasks), [=](index_t task) {
      const index_t chunk = task / plan.parts, first = task % plan.parts * plan.part_filters;
      const index_t filters = std::min(plan.part_filters, F - first);
      Sum* const partial = scratch + chunk * chunk_size + first * s.kernel_rows * padded_run;
      Sum* const band = scratch + own_offset + task * own_size;
      std::fill_n(partial, filters * s.kernel_rows * padded_run, Sum(0));
      std::fill_n(band + band_size - padded_run, padded_run, Sum(0));  // what tiles read beyond the band
      for (index_t image = chunk * B / plan.chunks; image < (chunk + 1) * B / plan.chunks; ++image)
        for (index_t q0 = 0; q0 < out_rows; q0 += bands.rows) {
          const index_t rows = std::min(bands.rows, out_rows - q0);
          copy_band(x, x.data + image * x.stride, q0 * s.stride - s.padding, -s.padding,
                    (rows - 1) * s.stride + s.kernel_rows, band_columns, band);
          const Scalar* const from = dy.data + image * dy.stride + q0 * out_row;
          const Sum* slopes;
          if constexpr (same)
            slopes = from;
          else
            slopes = std::copy_n(from, rows * out_row, band + band_size) - rows * out_row;
          slopes += first;
          const Walk walk{.segments = rows,
                          .depth = out_columns,
                          .a_row = 1,
                          .a_step = F,
                          .a_jump = out_row,
                          .b_step = s.stride * s.channels,
                          .b_jump = s.stride * band_columns * s.channels};
          const index_t pitch = s.kernel_rows * padded_run;
          for (index_t i = 0; i < s.kernel_rows; ++i) {
            const Sum* const below = band + i * band_columns * s.channels;
            for (index_t e = 0; e < padded_run;) {
              Sum* const tile = partial + i * padded_run + e;
              const index_t vectors = std::min<index_t>(3, (padded_run - e) / lanes);
              if (vectors == 3)
                accumulate_filters<3>(walk, slopes, below + e, filters, tile, pitch);
              else if (vectors == 2)
                accumulate_filters<2>(walk, slopes, below + e, filters, tile, pitch);
              else
                accumulate_filters<1>(walk, slopes, below + e, filters, tile, pitch);
              e += vectors * lanes;
            }
          }
        }
    });
  Kokkos::parallel_for(labels.sum, range_policy(exec, F * s.kernel_rows),
                       AddChunks<Scalar, Sum>{scratch, plan.chunks, chunk_size, run, padded_run, s.kernel_rows,
                                              dW.data(), index_t(dW.stride(0))});
}

}  // namespace partita::kernels::backend::host
