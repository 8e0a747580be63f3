// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/bag.hpp>

namespace partita::nn {

template <class Scalar>
LayerList<Scalar> bag_layers(const BagShape& shape, index_t chunks, const MlpSlices& slices,
                             const Between<Scalar>& between) {
  LayerList<Scalar> layers =
      mlp_layers<Scalar>({shape.C, shape.hidden, shape.classes, shape.activation}, chunks, slices, between);
  layers.insert(layers.begin(), Layers<Scalar>::embedding_bag("embedding", {shape.V, shape.T, shape.C}));
  return layers;
}

#define PARTITA_BAG(S) template LayerList<S> bag_layers(const BagShape&, index_t, const MlpSlices&, const Between<S>&)
PARTITA_BAG(float);
PARTITA_BAG(double);
PARTITA_BAG(bfloat16);
PARTITA_BAG(float16);
#undef PARTITA_BAG

}  // namespace partita::nn
