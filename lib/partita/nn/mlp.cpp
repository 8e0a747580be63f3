// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/mlp.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {

template <class Scalar>
LayerList<Scalar> mlp_layers(const MlpShape& shape, index_t chunks, const MlpSlices& slices,
                             const Between<Scalar>& between) {
  using L = Layers<Scalar>;
  std::vector<index_t> widths = {shape.features};
  widths.insert(widths.end(), shape.hidden.begin(), shape.hidden.end());
  widths.push_back(shape.classes);
  for (const index_t width : widths)
    if (width < 1) refuse<UsageError>("MLP", fmt::format("a layer of {} columns", width), "at least 1");

  // Hidden columns are what a strategy may split, features and classes are not.
  const std::size_t last = widths.size() - 2;
  const auto blocks = [&](index_t columns) { return std::clamp<index_t>(columns, 1, chunks); };
  const auto here = [&](std::size_t l) {  // of the outputs of layer l
    const bool split =
        l < slices.hidden.size() && slices.hidden[l].extent > 0 && slices.hidden[l].extent < slices.hidden[l].global;
    if (split && !MlpSlices::may_split(l))
      refuse<UsageError>("MLP", fmt::format("hidden layer {} is split", l), "only every second one, from 0 on");
    return split ? slices.hidden[l] : whole(widths[l + 1]);
  };
  LayerList<Scalar> layers;
  for (std::size_t l = 0; l <= last; ++l) {
    const std::string name = fmt::format("linear{}", l);
    const Slice K = l > 0 ? here(l - 1) : whole(widths[0]), N = here(l);
    const bool fused = l < last && kernels::slope_from_output(shape.activation);
    const LinearShape linear{.K = K,
                             .N = {Dimension(N, l < last ? blocks(N.global) : 1)},
                             .K_blocks = l > 0 ? blocks(K.global) : 1,
                             .activation = fused ? shape.activation : kernels::Activation::identity};
    const bool after_split = l > 0 && MlpSlices::may_split(l - 1);
    layers.push_back(after_split                           ? between.out_of_split(name, linear)
                     : l < last && MlpSlices::may_split(l) ? between.into_split(name, linear)
                                                           : L::linear(name, linear));
    if (l < last && !fused) layers.push_back(L::activation(name + ".activation", N.extent, shape.activation));
  }
  return layers;
}

#define PARTITA_MLP(S) template LayerList<S> mlp_layers(const MlpShape&, index_t, const MlpSlices&, const Between<S>&)
PARTITA_MLP(float);
PARTITA_MLP(double);
PARTITA_MLP(bfloat16);
PARTITA_MLP(float16);
#undef PARTITA_MLP

}  // namespace partita::nn
