// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/between.hpp>
#include <partita/nn/key_value_cache.hpp>

namespace partita::nn {

/// A model whose sequences come in parts, each after what a cache has of those before: a builder's list of layers for T
/// tokens is then one for T more tokens. Its embedding has the positions of all that the cache has room for.
/// Everything else is what `inner` makes. Forward alone.
template <class Scalar>
class CachedBetween final : public Between<Scalar> {
 public:
  /// Both must outlive this; the cache must outlive the units.
  CachedBetween(const Between<Scalar>& inner, KeyValueCache<Scalar>& cache) : inner_(inner), cache_(cache) {}

  Layer<Scalar> into_split(const std::string& name, const LinearShape& shape) const override {
    return inner_.into_split(name, shape);
  }
  Layer<Scalar> out_of_split(const std::string& name, const LinearShape& shape) const override {
    return inner_.out_of_split(name, shape);
  }
  Layer<Scalar> embedding(const std::string& name, const EmbeddingShape& shape) const override {
    EmbeddingShape longer = shape;
    longer.context = cache_.context();
    return inner_.embedding(name, longer);
  }
  Layer<Scalar> token_norm(const std::string& name, Norm norm, Slice tokens, index_t C) const override {
    return inner_.token_norm(name, norm, tokens, C);
  }
  Layer<Scalar> attention(const std::string& name, const kernels::AttentionOptions& options, index_t D) const override {
    return Layers<Scalar>::cached_attention(name, options, D, cache_);
  }
  Layer<Scalar> batchnorm2d(const std::string& name, const Image& image, bool relu) const override {
    return inner_.batchnorm2d(name, image, relu);
  }

 private:
  const Between<Scalar>& inner_;
  KeyValueCache<Scalar>& cache_;
};

}  // namespace partita::nn
