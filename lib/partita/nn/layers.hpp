// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <partita/kernels/attention.hpp>
#include <partita/nn/key_value_cache.hpp>
#include <partita/nn/units/conv2d.hpp>
#include <partita/nn/units/embedding.hpp>
#include <partita/nn/units/embedding_bag.hpp>
#include <partita/nn/units/image.hpp>
#include <partita/nn/units/linear.hpp>
#include <partita/nn/units/pool2d.hpp>
#include <partita/nn/units/token_norm.hpp>

namespace partita::nn {

/// A unit that is yet to be built: its tensors are declared when its turn in the list comes. A model is a list of
/// these, a stage of a pipeline a part of the list. An empty one is skipped.
template <class Scalar>
using Layer = std::function<std::unique_ptr<Unit<Scalar>>(Tables&)>;
template <class Scalar>
using LayerList = std::vector<Layer<Scalar>>;

/// What backward computes again instead of keeping it from forward (Chen et al. 2016): nothing, the attention branch of
/// each block, or all of each block.
enum class Recompute { none, attention, block };

/// The words that models are written in. Each tags its unit with what its time counts as.
template <class Scalar>
struct Layers {
  using One = Layer<Scalar>;
  using List = LayerList<Scalar>;

  static One linear(std::string name, LinearShape shape);
  static One activation(std::string name, index_t columns, kernels::Activation activation);
  /// Empty for a rate of 0.
  static One dropout(std::string name, Slice columns, double rate);
  static One embedding(std::string name, const EmbeddingShape& shape);
  static One embedding_bag(std::string name, const EmbeddingBagShape& shape);
  static One token_norm(std::string name, Norm norm, Slice tokens, index_t C);
  static One attention(std::string name, const kernels::AttentionOptions& options, index_t D);
  static One cached_attention(std::string name, const kernels::AttentionOptions& options, index_t D,
                              KeyValueCache<Scalar>& cache);
  static One conv2d(std::string name, const kernels::Conv2dShape& shape, bool bias = false);
  static One batchnorm2d(std::string name, const Image& image, bool relu);
  static One groupnorm(std::string name, const Image& image, index_t groups);
  static One pool2d(std::string name, Pool pool, const kernels::Pool2dShape& shape);
  static One global_average_pool(std::string name, const Image& image);
  /// y = s(x) + f(x), relu of it if asked; s the identity for an empty shortcut.
  static One residual(std::string name, List branch, List shortcut = {}, bool relu = false);
  /// The list as one unit that keeps its input alone.
  static One recomputed(std::string name, List list);
  /// The same unit, whose time, and that of its parts but for norms, counts as `tag`.
  static One tagged(std::string tag, One layer);
};

}  // namespace partita::nn
