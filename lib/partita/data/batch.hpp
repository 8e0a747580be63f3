// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <partita/data/images.hpp>
#include <partita/data/sampler.hpp>

namespace partita::data {

/// Images in the memory of Exec: F = height x width x channels bytes a sample.
struct DeviceImages {
  Kokkos::View<const std::uint8_t**, Kokkos::LayoutRight, Memory> pixels;  ///< (samples, F)
  ConstVector<std::uint8_t> labels;                                        ///< (samples)
};

/// Copies a set to the memory of Exec. Allocates; fences.
DeviceImages upload(const ImageSet& images);

/// x = (pixel / 255 - mean) / deviation.
struct Normalisation {
  double mean = 0.0;
  double deviation = 1.0;
};

namespace detail {

/// That as one product and one sum, in double whatever Scalar is.
struct PixelMap {
  double scale;
  double shift;
  explicit PixelMap(const Normalisation& normalisation)
      : scale(1.0 / (255.0 * normalisation.deviation)), shift(-normalisation.mean / normalisation.deviation) {}
  template <class Scalar>
  KOKKOS_INLINE_FUNCTION Scalar value(std::uint8_t pixel) const {
    return static_cast<Scalar>(pixel * scale + shift);
  }
};

}  // namespace detail

/// Mean and deviation of the Fashion-MNIST training pixels, to four digits.
constexpr Normalisation fashion_mnist_normalisation{0.2860, 0.3530};

/// My rows of the global batch of a step, normalised: x(i, f) = (pixel(s, f) / 255 - mean) / deviation with
/// s = sampler.sample(step, rows.offset + i).
///
/// Shapes   images (N, F)   ->   x (rows.extent, F), label (rows.extent), overwritten.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError unless rows.global = sampler.batch(), sampler.samples() = N and the extents fit.
/// Cost     rows.extent x F x (1 + sizeof(Scalar)) byte.
template <class Scalar>
void gather_batch(const Exec& exec, const Normalisation& normalisation, const DeviceImages& images,
                  const Sampler& sampler, index_t step, Slice rows, const Matrix<Scalar>& x,
                  const Vector<std::int32_t>& label);

/// Samples first, first + 1, ... in the order of the set, for evaluation: otherwise like gather_batch.
///
/// Shapes   images (N, F)   ->   x (B, F), label (B), overwritten; B of x says how many.
/// Throws   ShapeError unless 0 <= first, first + B <= N and the extents fit.
template <class Scalar>
void gather_rows(const Exec& exec, const Normalisation& normalisation, const DeviceImages& images, index_t first,
                 const Matrix<Scalar>& x, const Vector<std::int32_t>& label);

/// Samples in the order of a list, which is read on exec: otherwise like gather_batch.
///
/// Shapes   images (N, F)   samples (B)   ->   x (B, F), label (B), overwritten.
/// Needs    0 <= samples(b) < N: nobody looks.
/// Throws   ShapeError unless the extents fit.
template <class Scalar>
void gather_samples(const Exec& exec, const Normalisation& normalisation, const DeviceImages& images,
                    const ConstVector<index_t>& samples, const Matrix<Scalar>& x, const Vector<std::int32_t>& label);

}  // namespace partita::data
