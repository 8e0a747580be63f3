// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/kernels/activation.hpp>
#include <partita/nn/between.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

struct MlpShape {
  index_t features = 784;
  std::vector<index_t> hidden = {512, 256};
  index_t classes = 10;
  kernels::Activation activation = kernels::Activation::relu;
};

/// The part of the model that is here: for each hidden layer the columns of it; extent 0, or no slice: all. Only every
/// second layer, from the first one on, may be split: the layer behind it adds up what the parts give.
struct MlpSlices {
  std::vector<Slice> hidden;

  static bool may_split(std::size_t layer) { return layer % 2 == 0; }
};

/// Multi-layer perceptron: features -> hidden... (each with the activation) -> classes (raw scores). Layers are called
/// linear0, linear1, ..., whatever the activation.
///
/// Throws   UsageError for an extent below 1.
template <class Scalar>
LayerList<Scalar> mlp_layers(const MlpShape& shape, index_t chunks = 1, const MlpSlices& slices = {},
                             const Between<Scalar>& between = {});

template <class Scalar>
Model<Scalar> make_mlp(const MlpShape& shape, const ModelOptions& options = {}) {
  return Model<Scalar>(mlp_layers<Scalar>(shape, options.chunks), {1, shape.classes}, options);
}

}  // namespace partita::nn
