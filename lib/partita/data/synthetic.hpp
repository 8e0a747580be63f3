// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <partita/data/sampler.hpp>

namespace partita::data {

/// A classification task made of numbers alone: sample i has a random class c(i), and its features are that class's
/// prototype plus noise.
///
///     x(i, f) = prototype(c(i), f) + noise * z(i, f)
///
/// prototype and z have mean 0 and deviation 1 and are sums of two uniform numbers (a triangle, within +-2.45): integer
/// arithmetic until one product, so that hosts and devices differ by a rounding at most. Everything is a function of
/// (seed, i); nothing is stored.
struct SyntheticOptions {
  std::uint64_t seed = 1;
  index_t features = 784;
  index_t classes = 10;
  double noise = 1.0;  ///< deviation of the noise; prototypes lie sqrt(2 features) apart, so large values make it hard
  Slice here = {};     ///< of the features, those that a batch or rows are made of; none: all

  Slice columns() const { return here.extent == 0 ? whole(features) : here; }
};

/// Held-out samples have the same prototypes, and classes and noise of indices that no training set reaches.
enum class Split { train, held_out };

/// My rows of the global batch of a step: row r is sample i = sampler.sample(step, rows.offset + r).
///
/// Shapes   -> x (rows.extent, options.columns().extent), label (rows.extent), overwritten.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError unless rows.global = sampler.batch() and the extents fit.
/// Cost     half a Philox block a feature: 10 to 20 integer operations.
template <class Scalar>
void synthetic_batch(const Exec& exec, const SyntheticOptions& options, const Sampler& sampler, index_t step,
                     Slice rows, const Matrix<Scalar>& x, const Vector<std::int32_t>& label);

/// Samples first, first + 1, ... of a split, in order; B of x says how many. Otherwise like synthetic_batch.
template <class Scalar>
void synthetic_rows(const Exec& exec, const SyntheticOptions& options, Split split, index_t first,
                    const Matrix<Scalar>& x, const Vector<std::int32_t>& label);

/// Samples of Split::train in the order of a list, which is read on exec. Otherwise like synthetic_batch.
///
/// Throws   ShapeError unless samples, x and label have the same number of rows and the extents fit.
template <class Scalar>
void synthetic_samples(const Exec& exec, const SyntheticOptions& options, const ConstVector<index_t>& samples,
                       const Matrix<Scalar>& x, const Vector<std::int32_t>& label);

/// The label of sample i of Split::train, on the calling thread.
std::int32_t synthetic_label(const SyntheticOptions& options, index_t i);

/// Sample i of Split::train into x (options.features), on the calling thread; returns its label. The bits of
/// synthetic_rows on a host.
template <class Scalar>
std::int32_t synthetic_sample(const SyntheticOptions& options, index_t i, Scalar* x);

}  // namespace partita::data
