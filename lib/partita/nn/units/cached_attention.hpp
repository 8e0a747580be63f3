// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/attention.hpp>
#include <partita/nn/key_value_cache.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// Attention of tokens that follow call.past others: x is [q | k | v] of each of the T new ones (3, H, D), y the heads'
/// outputs (H, D). Their keys and values are put into a cache, and each sees those that are there up to itself. Forward
/// alone.
///
/// Throws   ShapeError where past + T tokens, or rows, are more than the cache has room for.
template <class Scalar>
class CachedAttention final : public Unit<Scalar> {
 public:
  /// options.T: new tokens, all of them queries. The cache must outlive the unit, and has room for `name` from now on.
  CachedAttention(std::string name, const kernels::AttentionOptions& options, index_t D, KeyValueCache<Scalar>& cache);

  /// Of tokens that nothing precedes.
  PassFlop flop(index_t B) const override;
  Footprint footprint(index_t B) const override;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;

 private:
  void keep(const Exec& exec, index_t B, index_t row, index_t past, ConstMatrix<Scalar> from, Matrix<Scalar> to) const;

  kernels::AttentionOptions options_;
  index_t D_;
  Slice rows_;
  index_t context_;
  typename KeyValueCache<Scalar>::Tokens cache_;
};

}  // namespace partita::nn
