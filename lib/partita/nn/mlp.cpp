// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/nn/init.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/units/linear.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Model<Scalar> make_mlp(const MlpShape& shape, std::uint64_t seed) {
  ParameterTable table;
  std::vector<std::unique_ptr<Unit<Scalar>>> units;
  index_t columns = shape.features;
  const auto add = [&](index_t outputs, kernels::Activation activation) {
    const auto name = fmt::format("linear{}", units.size());
    units.push_back(std::make_unique<Linear<Scalar>>(table, name, columns, outputs, activation));
    columns = outputs;
  };
  for (const index_t hidden : shape.hidden) add(hidden, shape.activation);
  add(shape.classes, kernels::Activation::identity);

  Model<Scalar> model(std::move(table), std::move(units));
  initialise(model.table(), seed, model.parameters());
  return model;
}

template Model<float> make_mlp(const MlpShape&, std::uint64_t);
template Model<double> make_mlp(const MlpShape&, std::uint64_t);

}  // namespace partita::nn
