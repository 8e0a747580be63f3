// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <partita/kernels/activation.hpp>
#include <partita/nn/model.hpp>
#include <vector>

namespace partita::nn {

struct MlpShape {
  index_t features = 784;
  std::vector<index_t> hidden = {512, 256};
  index_t classes = 10;
  kernels::Activation activation = kernels::Activation::relu;
};

/// Multi-layer perceptron: features -> hidden... (each with the activation) -> classes (raw scores).
///
/// Weights depend on the seed alone, so that every rank builds the same model. Memory: 2 flat buffers of
/// table().size().
template <class Scalar>
Model<Scalar> make_mlp(const MlpShape& shape, std::uint64_t seed);

}  // namespace partita::nn
