// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/mlp.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {

template <class Scalar>
LayerList<Scalar> mlp_layers(const MlpShape& shape, index_t chunks) {
  using L = Layers<Scalar>;
  std::vector<index_t> widths = {shape.features};
  widths.insert(widths.end(), shape.hidden.begin(), shape.hidden.end());
  widths.push_back(shape.classes);
  for (const index_t width : widths)
    if (width < 1) refuse<UsageError>("MLP", fmt::format("a layer of {} columns", width), "at least 1");

  // Hidden columns are what a strategy may split, features and classes are not.
  const std::size_t last = widths.size() - 2;
  const auto blocks = [&](index_t columns) { return std::clamp<index_t>(columns, 1, chunks); };
  LayerList<Scalar> layers;
  for (std::size_t l = 0; l <= last; ++l) {
    const std::string name = fmt::format("linear{}", l);
    const index_t K = widths[l], N = widths[l + 1];
    const bool fused = l < last && kernels::slope_from_output(shape.activation);
    layers.push_back(L::linear(name, {.K = whole(K),
                                      .N = {Dimension(N, l < last ? blocks(N) : 1)},
                                      .K_blocks = l > 0 ? blocks(K) : 1,
                                      .activation = fused ? shape.activation : kernels::Activation::identity}));
    if (l < last && !fused) layers.push_back(L::activation(name + ".activation", N, shape.activation));
  }
  return layers;
}

template LayerList<float> mlp_layers(const MlpShape&, index_t);
template LayerList<double> mlp_layers(const MlpShape&, index_t);
template LayerList<bfloat16> mlp_layers(const MlpShape&, index_t);
template LayerList<float16> mlp_layers(const MlpShape&, index_t);

}  // namespace partita::nn
