// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/kernels/activation.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

struct MlpShape {
  index_t features = 784;
  std::vector<index_t> hidden = {512, 256};
  index_t classes = 10;
  kernels::Activation activation = kernels::Activation::relu;
};

/// Multi-layer perceptron: features -> hidden... (each with the activation) -> classes (raw scores). Layers are called
/// linear0, linear1, ..., whatever the activation.
///
/// Throws   UsageError for an extent below 1.
template <class Scalar>
LayerList<Scalar> mlp_layers(const MlpShape& shape, index_t chunks = 1);

template <class Scalar>
Model<Scalar> make_mlp(const MlpShape& shape, const ModelOptions& options = {}) {
  return Model<Scalar>(mlp_layers<Scalar>(shape, options.chunks), {1, shape.classes}, options);
}

}  // namespace partita::nn
