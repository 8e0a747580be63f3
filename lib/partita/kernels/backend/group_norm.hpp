// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/kernels/backend/channel_norm.hpp>
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/groupnorm.hpp>

// What both directions of group norm share: a set of ImageGroups is an image, and a task of a pass over columns is one.

namespace partita::kernels::backend {

/// A statistic of an image's groups, (B, groups).
template <class Real>
struct PerGroup {
  const Real* data;
  index_t stride;

  /// Of the channels from c on.
  template <class Value>
  KOKKOS_FUNCTION Value at(const ImageGroups& e, index_t b, index_t c) const {
    constexpr index_t width = index_t(sizeof(Value) / sizeof(Real));
    Real values[width];
    for (index_t j = 0; j < width; ++j) values[j] = data[b * stride + e.group(c + j)];
    return load<Value>(values);
  }
};

template <class View>
auto per_group(const View& a) {
  return PerGroup<typename View::non_const_value_type>{a.data(), stride_of(a)};
}

/// Images of a call: where the numbers of channel c of image b lie.
template <class Scalar>
struct ImageChannels {
  Scalar* data;
  index_t stride;

  KOKKOS_FORCEINLINE_FUNCTION Channel<Scalar> at(const ImageGroups& e, index_t b, index_t c) const {
    return {data + b * stride + c, e.channels};
  }
};

template <class View>
auto image_channels(const View& a) {
  return ImageChannels<typename View::value_type>{a.data(), stride_of(a)};
}

template <class Scalar, class View>
PixelAt<Scalar> pixels_of(const ImageGroups& e, const View& a) {
  return {a.data(), stride_of(a), e.channels};
}

/// Checks operands that all of group norm has.
template <class X, class Statistic>
ImageGroups image_groups(const char* function, const GroupnormOptions& options, const X& x, std::size_t channels,
                         const Statistic& mean, const Statistic& rstd) {
  const index_t B = index_t(x.extent(0)), C = index_t(channels), columns = index_t(x.extent(1));
  if (options.groups <= 0 || C % options.groups != 0)
    refuse<ShapeError>(function, std::to_string(C) + " channels, groups is " + std::to_string(options.groups),
                       "channels that are a multiple of the groups");
  if (C == 0 ? columns != 0 : columns % C != 0)
    refuse<ShapeError>(function,
                       "x has " + std::to_string(columns) + " columns, an image has " + std::to_string(C) + " channels",
                       "x (B, pixels x channels)");
  require_rows(function, options.rows);
  const auto require_statistic = [&](const char* name, const Statistic& statistic) {
    require_extent(function, name, "rows", statistic.extent(0), "x", "rows", x.extent(0), "one for each image");
    require_extent(function, name, "columns", statistic.extent(1), "an image", "groups", std::size_t(options.groups),
                   "one for each group");
  };
  require_statistic("mean", mean);
  require_statistic("rstd", rstd);
  return {B, 1, C == 0 ? 0 : columns / C, C, options.groups};
}

/// A task is an image.
template <class Real, class Body>
void for_images(const Exec& exec, const std::string& label, const ImageGroups& e, const Body& body) {
  if (e.pixels > 0) for_columns<Real>(exec, label, e.sets * e.pixels, e.channels, e.pixels, body);
}

/// For two sums per image, block and channel and two numbers per image and group.
template <class Number>
Number* partial_sums(Context& context, const ImageGroups& e, index_t leaves = 1) {
  return static_cast<Number*>(
      context.scratch(std::size_t(2 * e.sets * (leaves * e.channels + e.groups)) * sizeof(Number)));
}

}  // namespace partita::kernels::backend
