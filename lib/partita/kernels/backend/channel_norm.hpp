// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/kernels/backend/image_sums.hpp>
#include <partita/kernels/backend/pack.hpp>
#include <partita/kernels/context.hpp>

// What batch norm and group norm share. First the passes over the numbers of one channel, or of neighbouring ones (a
// Value of pack.hpp); then the mean and the squares about it as trees over blocks of pixels.

namespace partita::kernels::backend {

/// The numbers of a channel, `step` elements apart.
template <class Scalar>
struct Channel {
  Scalar* data;
  index_t step;

  KOKKOS_FORCEINLINE_FUNCTION Scalar* at(index_t i) const { return data + i * step; }
};

/// sum = sum_i x_i,   squares = sum_i (x_i - sum / n)^2: chains over ascending i, n at least 1.
template <class Value, class Scalar, class Real>
KOKKOS_FORCEINLINE_FUNCTION void moments(const Channel<const Scalar>& x, index_t n, Real* sum_to, Real* squares_to) {
  Value sum = load<Value>(x.at(0));
  for (index_t i = 1; i < n; ++i) sum = sum + load<Value>(x.at(i));
  store(sum, sum_to);
  const Value mean = scaled(sum, Real(1) / Real(n));
  Value squares{};
  for (index_t i = 0; i < n; ++i) {
    const Value d = load<Value>(x.at(i)) - mean;
    squares = squares + d * d;
  }
  store(squares, squares_to);
}

/// y_i = (x_i - mean) gamma_rstd + beta, with relu cut off below zero.
template <class Value, bool relu, class Scalar>
KOKKOS_FORCEINLINE_FUNCTION void normalise(const Channel<const Scalar>& x, index_t n, const Value& mean,
                                           const Value& gamma_rstd, const Value& beta, const Channel<Scalar>& y) {
  for (index_t i = 0; i < n; ++i) {
    const Value z = (load<Value>(x.at(i)) - mean) * gamma_rstd + beta;
    if constexpr (relu)
      store(rectified(z), y.at(i));
    else
      store(z, y.at(i));
  }
}

/// dz of a channel: dy, with relu where y > 0 only.
template <class Scalar, bool relu>
struct ChannelSlope {
  Channel<const Scalar> y, dy;

  template <class Value>
  KOKKOS_FORCEINLINE_FUNCTION Value at(index_t i) const {
    const Value slope = load<Value>(dy.at(i));
    if constexpr (relu)
      return where_positive(load<Value>(y.at(i)), slope);
    else
      return slope;
  }
};

/// dz_sum = sum_i dz_i,   dz_x_sum = sum_i dz_i (x_i - mean): chains over ascending i.
template <class Value, class Scalar, bool relu, class Real>
KOKKOS_FORCEINLINE_FUNCTION void slope_sums(const Channel<const Scalar>& x, const ChannelSlope<Scalar, relu>& dz,
                                            index_t n, const Value& mean, Real* dz_sum_to, Real* dz_x_sum_to) {
  Value dz_sum{}, dz_x_sum{};
  for (index_t i = 0; i < n; ++i) {
    const Value slope = dz.template at<Value>(i);
    dz_sum = dz_sum + slope;
    dz_x_sum = dz_x_sum + slope * (load<Value>(x.at(i)) - mean);
  }
  store(dz_sum, dz_sum_to);
  store(dz_x_sum, dz_x_sum_to);
}

/// The sum over a group's channels, as a tree over blocks of pixels: each block from its channels' sums.
struct GroupTree {
  ImageGroups e;
  index_t leaves;
  const double* partial;  // (sets, leaves, C)

  KOKKOS_FUNCTION double operator()(index_t set, index_t g) const {
    const index_t first = g * e.group_channels(), end = first + e.group_channels();
    return tree_of<double>(leaves, [&](index_t leaf) {
      const double* const sums = partial + (set * leaves + leaf) * e.channels;
      double sum = 0;
      for (index_t c = first; c < end; ++c) sum += sums[c];
      return sum;
    });
  }
};

/// finish(set, group, total).
template <class Finish>
struct FinishGroups {
  GroupTree tree;
  Finish finish;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t set = task / tree.e.groups, g = task % tree.e.groups;
    finish(set, g, tree(set, g));
  }
};

/// Of a sum of so many numbers; 0 for none.
KOKKOS_FORCEINLINE_FUNCTION double mean_of_sum(double sum, index_t count) {
  return count > 0 ? sum / double(count) : 0.0;
}

/// The mean, and unrounded.
template <class Real>
struct StoreMean {
  ImageGroups e;
  double* unrounded;  // (sets, groups)
  Real* mean;
  index_t mean_stride;

  KOKKOS_FUNCTION void operator()(index_t set, index_t g, double sum) const {
    const double value = mean_of_sum(sum, e.count());
    unrounded[set * e.groups + g] = value;
    mean[set * mean_stride + g] = Real(value);
  }
};

/// Means, and the sums of squares about them, not rounded, for `finish`: in trees over blocks of pixels.
template <class Scalar, class Finish>
void moments_in_blocks(Context& context, const std::string& sums_label, const std::string& finish_label,
                       const ImageGroups& e, index_t leaves, const PixelAt<Scalar>& x, accumulate_t<Scalar>* mean,
                       index_t mean_stride, const Finish& finish) {
  const Exec& exec = context.exec();
  const index_t sums = e.sets * leaves * e.channels, statistics = e.sets * e.groups;
  double* const partial = static_cast<double*>(context.scratch(std::size_t(sums + statistics) * sizeof(double)));
  double* const unrounded = partial + sums;
  const GroupTree tree{e, leaves, partial};
  const auto per_group = [&](const auto& of_group) {
    using Of = std::remove_cvref_t<decltype(of_group)>;
    Kokkos::parallel_for(finish_label, range_policy(exec, statistics), FinishGroups<Of>{tree, of_group});
  };
  leaf_sums(exec, sums_label, e, leaves, SumOfPixels<Scalar>{x}, partial);
  per_group(StoreMean<accumulate_t<Scalar>>{e, unrounded, mean, mean_stride});
  const index_t mean_of_image = e.images > 1 ? 0 : e.groups;  // one set has one mean, whichever image
  leaf_sums(exec, sums_label, e, leaves, SquaresOfPixels<Scalar>{x, {unrounded, mean_of_image, e.group_channels()}},
            partial);
  per_group(finish);
}

}  // namespace partita::kernels::backend
