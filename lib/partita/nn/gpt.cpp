// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <cmath>
#include <partita/nn/gpt.hpp>
#include <partita/nn/units/activation.hpp>
#include <partita/nn/units/attention.hpp>
#include <partita/nn/units/dropout.hpp>
#include <partita/nn/units/embedding.hpp>
#include <partita/nn/units/layernorm.hpp>
#include <partita/nn/units/linear.hpp>
#include <partita/nn/units/residual.hpp>
#include <utility>

namespace partita::nn {
namespace {

// Writes the units of a decoder down, one after the other.
template <class Scalar>
class Builder {
 public:
  Builder(const GptShape& shape, ParameterTable& table)
      : shape_(shape), F_(shape.F > 0 ? shape.F : 4 * shape.C), table_(table) {}

  Units<Scalar> attention_branch(const std::string& name) {
    const auto [T, C, H] = std::tuple(shape_.T, shape_.C, shape_.H);
    Units<Scalar> units;
    units.push_back(norm(name + ".norm1"));
    units.push_back(linear(name + ".qkv", C, 3 * C, deviation));
    units.push_back(std::make_unique<Attention<Scalar>>(
        name + ".attention", kernels::AttentionOptions{.T = T, .H = H, .causal = true, .algorithm = shape_.attention},
        C));
    units.push_back(linear(name + ".proj", C, C, branch_deviation()));
    drop(units, name + ".dropout1");
    return units;
  }

  Units<Scalar> mlp_branch(const std::string& name) {
    const auto [T, C] = std::pair(shape_.T, shape_.C);
    Units<Scalar> units;
    units.push_back(norm(name + ".norm2"));
    units.push_back(linear(name + ".up", C, F_, deviation));
    units.push_back(std::make_unique<Activation<Scalar>>(name + ".gelu", T * F_, kernels::Activation::gelu_tanh));
    units.push_back(linear(name + ".down", F_, C, branch_deviation()));
    drop(units, name + ".dropout2");
    return units;
  }

  void drop(Units<Scalar>& units, const std::string& name) {
    if (shape_.dropout > 0)
      units.push_back(std::make_unique<Dropout<Scalar>>(name, shape_.T * shape_.C, shape_.dropout, dropouts_++));
  }

  std::unique_ptr<Unit<Scalar>> norm(const std::string& name) {
    if (shape_.rms_norm) return std::make_unique<RmsNorm<Scalar>>(table_, name, shape_.T, shape_.C);
    return std::make_unique<LayerNorm<Scalar>>(table_, name, shape_.T, shape_.C);
  }

 private:
  static constexpr double deviation = 0.02;
  double branch_deviation() const { return deviation / std::sqrt(2 * static_cast<double>(shape_.blocks)); }

  std::unique_ptr<Unit<Scalar>> linear(const std::string& name, index_t K, index_t N, double of_weights) {
    return std::make_unique<Linear<Scalar>>(table_, name, K, N,
                                            LinearOptions{.tokens = shape_.T, .weight = Initial::normal(of_weights)});
  }

  const GptShape& shape_;
  index_t F_;
  ParameterTable& table_;
  std::uint64_t dropouts_ = 0;
};

}  // namespace

template <class Scalar>
Model<Scalar> make_gpt(const GptShape& shape, std::uint64_t seed) {
  const auto [V, T, C] = std::tuple(shape.V, shape.T, shape.C);
  Tables tables;
  ParameterTable& table = tables.parameters;
  Builder<Scalar> builder(shape, table);
  Units<Scalar> units;

  auto embedding = std::make_unique<Embedding<Scalar>>(table, "embedding", EmbeddingOptions{V, T, C, true, shape.tied});
  const Range token_table = embedding->token_table();
  units.push_back(std::move(embedding));
  builder.drop(units, "embedding.dropout");

  for (index_t b = 0; b < shape.blocks; ++b) {
    const std::string name = fmt::format("block{}", b);
    units.push_back(
        std::make_unique<Residual<Scalar>>(name + ".attend", builder.attention_branch(name), Units<Scalar>(), false));
    units.push_back(
        std::make_unique<Residual<Scalar>>(name + ".mlp", builder.mlp_branch(name), Units<Scalar>(), false));
  }

  units.push_back(builder.norm("norm"));
  if (shape.tied)
    units.push_back(std::make_unique<Linear<Scalar>>("head", token_table, C, V, T));
  else
    units.push_back(std::make_unique<Linear<Scalar>>(
        table, "head", C, V, LinearOptions{.tokens = T, .bias = false, .weight = Initial::normal(0.02)}));
  return Model<Scalar>(std::move(tables), std::move(units), seed);
}

template Model<float> make_gpt(const GptShape&, std::uint64_t);
template Model<double> make_gpt(const GptShape&, std::uint64_t);
template Model<bfloat16> make_gpt(const GptShape&, std::uint64_t);
template Model<float16> make_gpt(const GptShape&, std::uint64_t);

}  // namespace partita::nn
