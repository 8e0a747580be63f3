// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/float16.hpp>
#include <partita/kernels/backend/leaf_sums.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/math.hpp>

// Sums over the pixels of channels-last images in blocks of rows, the leaves of a tree: chains in double, channel by
// channel, over a set of images and within each over the pixels of the block; products are fused into them. The pixels
// are cut as partition() does.

namespace partita::kernels::backend {

/// Images, `images` of which at a time (a set) and some neighbouring channels of which (a group) have one statistic.
struct ImageGroups {
  index_t sets, images, pixels, channels, groups;

  KOKKOS_FUNCTION index_t group_channels() const { return groups > 0 ? channels / groups : 0; }
  KOKKOS_FUNCTION index_t group(index_t c) const { return c / group_channels(); }
  /// Numbers behind a statistic.
  KOKKOS_FUNCTION index_t count() const { return images * pixels * group_channels(); }
};

/// Where the number (image, pixel, channel) lies: rows of a matrix are images, or pixels of images.
template <class Scalar>
struct PixelAt {
  const Scalar* data;
  index_t image_stride, pixel_stride;

  KOKKOS_FUNCTION double operator()(index_t image, index_t pixel, index_t c) const {
    return double(accumulate_t<Scalar>(data[image * image_stride + pixel * pixel_stride + c]));
  }
};

/// A statistic of the image's channel: of all images where image_stride is 0, of a group of channels.
template <class Real>
struct StatisticAt {
  const Real* data;
  index_t image_stride, group_channels;

  KOKKOS_FUNCTION double operator()(index_t image, index_t c) const {
    return double(data[image * image_stride + c / group_channels]);
  }
};

template <class Scalar>
struct SumOfPixels {
  static constexpr int sums = 1;
  PixelAt<Scalar> x;

  KOKKOS_FUNCTION double centre(index_t, index_t) const { return 0; }
  KOKKOS_FUNCTION void add(index_t image, index_t pixel, index_t c, double, double* sum) const {
    *sum += x(image, pixel, c);
  }
};

/// About a mean.
template <class Scalar>
struct SquaresOfPixels {
  static constexpr int sums = 1;
  PixelAt<Scalar> x;
  StatisticAt<double> mean;

  KOKKOS_FUNCTION double centre(index_t image, index_t c) const { return mean(image, c); }
  KOKKOS_FUNCTION void add(index_t image, index_t pixel, index_t c, double centre, double* sum) const {
    const double d = x(image, pixel, c) - centre;
    *sum = math::fused(d, d, *sum);
  }
};

inline constexpr index_t image_width = runs_on_host ? 64 : 1;  // channels side by side: lanes here, threads there

/// dz and dz (x - mean), dz = dy, with relu where y > 0 only.
template <class Scalar, bool relu>
struct SlopesOfPixels {
  static constexpr int sums = 2;
  PixelAt<Scalar> x, y, dy;
  StatisticAt<accumulate_t<Scalar>> mean;

  KOKKOS_FUNCTION double centre(index_t image, index_t c) const { return mean(image, c); }
  KOKKOS_FUNCTION void add(index_t image, index_t pixel, index_t c, double centre, double* sum) const {
    double dz = dy(image, pixel, c);
    if constexpr (relu) dz = y(image, pixel, c) > 0 ? dz : 0;
    sum[0] += dz;
    sum[image_width] = math::fused(dz, x(image, pixel, c) - centre, sum[image_width]);
  }
};

/// partial(set, leaf, sum, c).
template <class Body>
struct LeafSums {
  Body body;
  index_t images, pixels, leaves, C;  // images: of a set
  double* partial;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t blocks = (C + image_width - 1) / image_width, first = task % blocks * image_width;
    const index_t leaf = task / blocks % leaves, set = task / blocks / leaves;
    const int inside = int(C - first < image_width ? C - first : image_width);
    const index_t begin = leaf_begin(pixels, leaves, leaf), end = leaf_begin(pixels, leaves, leaf + 1);
    double sum[Body::sums * image_width] = {};
    for (index_t image = set * images; image < (set + 1) * images; ++image) {
      double centre[image_width];
      for (int c = 0; c < inside; ++c) centre[c] = body.centre(image, first + c);
      for (index_t pixel = begin; pixel < end; ++pixel)
        for (int c = 0; c < inside; ++c) body.add(image, pixel, first + c, centre[c], sum + c);
    }
    for (int s = 0; s < Body::sums; ++s)
      for (int c = 0; c < inside; ++c)
        partial[((set * leaves + leaf) * Body::sums + s) * C + first + c] = sum[s * image_width + c];
  }
};

template <class Body>
void leaf_sums(const Exec& exec, const std::string& label, const ImageGroups& e, index_t leaves, const Body& body,
               double* partial) {
  const index_t tasks = e.sets * leaves * ((e.channels + image_width - 1) / image_width);
  Kokkos::parallel_for(label, range_policy(exec, tasks),
                       LeafSums<Body>{body, e.images, e.pixels, leaves, e.channels, partial});
}

}  // namespace partita::kernels::backend
