// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/nn/mlp.hpp>
#include <partita/nn/units/activation.hpp>
#include <partita/nn/units/linear.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Model<Scalar> make_mlp(const MlpShape& shape, std::uint64_t seed) {
  Tables tables;
  Units<Scalar> units;
  index_t columns = shape.features;
  const auto add = [&](index_t outputs, kernels::Activation activation) {
    const auto name = fmt::format("linear{}", units.size());
    const bool fused = kernels::slope_from_output(activation);
    units.push_back(std::make_unique<Linear<Scalar>>(
        tables.parameters, name, columns, outputs,
        LinearOptions{.activation = fused ? activation : kernels::Activation::identity}));
    if (!fused) units.push_back(std::make_unique<Activation<Scalar>>(name + ".activation", outputs, activation));
    columns = outputs;
  };
  for (const index_t hidden : shape.hidden) add(hidden, shape.activation);
  add(shape.classes, kernels::Activation::identity);
  return Model<Scalar>(std::move(tables), std::move(units), seed);
}

template Model<float> make_mlp(const MlpShape&, std::uint64_t);
template Model<double> make_mlp(const MlpShape&, std::uint64_t);
template Model<bfloat16> make_mlp(const MlpShape&, std::uint64_t);
template Model<float16> make_mlp(const MlpShape&, std::uint64_t);

}  // namespace partita::nn
