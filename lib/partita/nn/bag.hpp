// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/nn/mlp.hpp>

namespace partita::nn {

/// Hashed features: T keys of a sample, each a row of a table.
struct BagShape {
  index_t V = 1024;  ///< rows of the table
  index_t T = 16;    ///< keys of a sample
  index_t C = 32;    ///< width of the table
  std::vector<index_t> hidden = {64};
  index_t classes = 10;
  kernels::Activation activation = kernels::Activation::relu;
};

/// Embedding bag -> hidden... -> classes (raw scores): "embedding", then mlp_layers of the bag's mean. Of the rest a
/// strategy may split what it may of an MLP; the table is whole.
///
/// Throws   UsageError for an extent below 1.
template <class Scalar>
LayerList<Scalar> bag_layers(const BagShape& shape, index_t chunks = 1, const MlpSlices& slices = {},
                             const Between<Scalar>& between = {});

template <class Scalar>
Model<Scalar> make_bag(const BagShape& shape, const ModelOptions& options = {}) {
  return Model<Scalar>(bag_layers<Scalar>(shape, options.chunks), {1, shape.classes}, options);
}

}  // namespace partita::nn
