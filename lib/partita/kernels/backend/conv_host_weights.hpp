// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/conv_host.hpp>
#include <partita/kernels/store.hpp>

// Weight gradients of a convolution on hosts: a register tile is filters x neighbouring elements below a row of taps;
// its sums run over the output pixels of a chunk of images, band by band.

namespace partita::kernels::backend::host {

/// How the work is cut: chunks of images, which are summed apart, and blocks of filters, if there are few images; and
/// where in scratch what lies, in numbers.
template <class Scalar>
struct WeightPlan {
  using Sum = accumulate_t<Scalar>;
  static constexpr index_t line = 64 / index_t(sizeof(Sum));

  index_t chunks, parts, part_filters, tasks;
  index_t band_columns, out_row, run, padded_run;  // run: elements of a filter's row
  Bands bands;
  index_t band_size, chunk_size, own_offset, own_size;  // own: of a task

  WeightPlan(index_t B, const Conv2dShape& s, OutputRows rows, index_t threads)
      : chunks(s.outputs() * rows.count > 0 ? weight_chunks(B) : 0),
        band_columns(s.out_columns() > 0 ? (s.out_columns() - 1) * s.stride + s.kernel_columns : 0),
        out_row(s.out_columns() * s.filters),
        run(s.kernel_columns * s.channels),
        padded_run(multiple_up(run, RegisterTile<Sum>::lanes)),
        bands(std::max<index_t>(B, 1), std::max<index_t>(rows.count, 1), s.stride, s.kernel_rows,
              band_columns * s.channels, 1) {
    const index_t wanted = chunks < 2 * threads ? quotient_up(2 * threads, std::max<index_t>(1, chunks)) : 1;
    part_filters = std::max<index_t>(8, multiple_up(quotient_up(s.filters, wanted), 8));
    parts = quotient_up(s.filters, part_filters);
    tasks = chunks * parts;
    const index_t band_rows = (bands.rows - 1) * s.stride + s.kernel_rows;
    band_size = multiple_up(band_rows * band_columns * s.channels + padded_run, line);
    chunk_size = s.filters * s.kernel_rows * padded_run;
    own_offset = multiple_up(chunks * chunk_size, line);
    own_size = band_size + (std::is_same_v<Scalar, Sum> ? 0 : multiple_up(bands.rows * out_row, line));
  }
  index_t size() const { return own_offset + tasks * own_size; }
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

/// total(f, i, e) = sum over chunks in order, from partial sums whose runs of e are padded; or added to what is there.
template <class Sum>
struct AddChunks {
  const Sum* partial;
  index_t chunks, chunk_size, run, padded_run, runs;  // runs: of e in one filter
  bool adds;
  Sum* total;
  index_t filter_stride;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t f = task / runs, i = task % runs;
    const Sum* const from = partial + task * padded_run;
    Sum* const to = total + f * filter_stride + i * run;
    for (index_t e = 0; e < run; ++e) {
      Sum sum = 0;
      for (index_t chunk = 0; chunk < chunks; ++chunk) sum += from[chunk * chunk_size + e];
      to[e] = adds ? to[e] + sum : sum;
    }
  }
};

template <class Scalar>
index_t weights_scratch(const Exec& exec, index_t B, const Conv2dShape& s, OutputRows rows) {
  return WeightPlan<Scalar>(B, s, rows, threads_of(exec)).size();
}

/// dW over some rows of the outputs; scratch of weights_scratch numbers, aligned to 64 bytes.
template <class Scalar>
void correlate_weights(const Exec& exec, const ConvLabels& labels, index_t B, const Conv2dShape& s, OutputRows out,
                       Store store, Images<const Scalar> x, Images<const Scalar> dy, accumulate_t<Scalar>* scratch,
                       accumulate_t<Scalar>* dW, index_t dW_stride) {
  using Sum = accumulate_t<Scalar>;
  constexpr index_t lanes = RegisterTile<Sum>::lanes;
  constexpr bool same = std::is_same_v<Scalar, Sum>;
  const WeightPlan<Scalar> plan(B, s, out, threads_of(exec));
  const index_t F = s.filters, padded_run = plan.padded_run, band_columns = plan.band_columns, out_row = plan.out_row;

  using Dynamic = Kokkos::Schedule<Kokkos::Dynamic>;
  if (plan.tasks > 0)
    Kokkos::parallel_for(labels.multiply, range_policy<Dynamic>(exec, plan.tasks), [=](index_t task) {
      const index_t chunk = task / plan.parts, first = task % plan.parts * plan.part_filters;
      const index_t filters = std::min(plan.part_filters, F - first);
      Sum* const partial = scratch + chunk * plan.chunk_size + first * s.kernel_rows * padded_run;
      Sum* const band = scratch + plan.own_offset + task * plan.own_size;
      std::fill_n(partial, filters * s.kernel_rows * padded_run, Sum(0));
      std::fill_n(band + plan.band_size - padded_run, padded_run, Sum(0));  // what tiles read beyond the band
      for (index_t image = chunk * B / plan.chunks; image < (chunk + 1) * B / plan.chunks; ++image)
        for (index_t q0 = out.first; q0 < out.first + out.count; q0 += plan.bands.rows) {
          const index_t rows = std::min(plan.bands.rows, out.first + out.count - q0);
          copy_band(x, x.data + image * x.stride, q0 * s.stride - s.above, -s.padding,
                    (rows - 1) * s.stride + s.kernel_rows, band_columns, band);
          const Scalar* const from = dy.data + image * dy.stride + q0 * out_row;
          const Sum* slopes;
          if constexpr (same)
            slopes = from;
          else
            slopes = std::copy_n(from, rows * out_row, band + plan.band_size) - rows * out_row;
          slopes += first;
          const Walk walk{.segments = rows,
                          .depth = s.out_columns(),
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
                       AddChunks<Sum>{scratch, plan.chunks, plan.chunk_size, plan.run, padded_run, s.kernel_rows,
                                      store == Store::accumulate, dW, dW_stride});
}

}  // namespace partita::kernels::backend::host
