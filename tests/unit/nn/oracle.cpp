// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/serial_step.hpp>

// One training step of a whole model against PyTorch's (data/make_model_cases.py): loss, scores, every gradient, every
// parameter after AdamW, running statistics.

namespace partita::nn::oracle_tests {
namespace {

using nlohmann::json;

// Sums of some tens of products through a dozen layers: a hundred roundings of numbers of order one.
constexpr double tolerance = 200 * 0x1p-24;

json stored(const char* model) {
  std::ifstream file("tests/unit/nn/data/model_cases.json");  // tests run in the project's root
  return json::parse(file).at(model);
}

float wave(index_t i, index_t tensor, double scale, double centre) {
  return static_cast<float>(centre +
                            scale * std::sin(1.7 * static_cast<double>(i) + 0.3 * static_cast<double>(tensor)));
}

template <class View>
auto host_copy(const View& from) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), from);
  return std::vector<typename View::non_const_value_type>(host.data(), host.data() + host.size());
}

template <class View>
void fill(const View& to, const std::vector<typename View::value_type>& values) {
  const auto host = Kokkos::create_mirror_view(to);
  std::copy(values.begin(), values.end(), host.data());
  Kokkos::deep_copy(to, host);
}

/// The weights of the stored case, by the formula of the script.
void fill_parameters(const Model<float>& model) {
  std::vector<float> values(static_cast<std::size_t>(model.table().size()));
  index_t tensor = 0;
  for (const Parameter& parameter : model.table().parameters()) {
    const bool gamma = ("." + parameter.name).find(".norm") != std::string::npos && parameter.name.ends_with("weight");
    for (index_t i = 0; i < parameter.range.extent; ++i)
      values[static_cast<std::size_t>(parameter.range.offset + i)] =
          wave(i, tensor, gamma ? 0.1 : 0.4, gamma ? 1.0 : 0.0);
    ++tensor;
  }
  fill(model.parameters(), values);
}

void expect_close(const json& expected, const std::vector<float>& got, Range range, const std::string& what) {
  ASSERT_EQ(expected.size(), static_cast<std::size_t>(range.extent)) << what;
  double largest = 1;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (index_t i = 0; i < range.extent; ++i)
    EXPECT_NEAR(got[static_cast<std::size_t>(range.offset + i)], expected[static_cast<std::size_t>(i)].get<double>(),
                tolerance * largest)
        << what << " element " << i;
}

void check_step(const json& expected, Model<float>& model, ConstMatrix<float> x, ConstMatrix<std::int32_t> tokens,
                const std::vector<std::int32_t>& labels, kernels::Backend backend) {
  kernels::Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
  const auto B = static_cast<index_t>(x.data() == nullptr ? tokens.extent(0) : x.extent(0));
  kernels::OptimizerOptions options{.kind = kernels::Optimizer::adamw};
  options.weight_decay = 0.1;
  fill_parameters(model);
  const Vector<std::int32_t> label("label", labels.size());
  fill(label, labels);

  // Scores by themselves: a step overwrites them with their gradient.
  SerialStep<float> step(context, model, B, {.update = {.optimizer = options, .learning_rate = 1e-2}});
  Observer nobody;
  Call<float> call = model.call(context, nobody);
  call.tokens = tokens;
  const Stage<float>& stage = model.stages()[0];
  const ConstMatrix<float> scores = stage.forward(stage.place(call, 0, 0), x);
  const Vector<float> flat(const_cast<float*>(scores.data()), scores.size());
  expect_close(expected.at("scores"), host_copy(flat), {0, static_cast<index_t>(scores.size())}, "scores");

  step.run({x, tokens, label});
  context.exec().fence();
  EXPECT_NEAR(host_copy(step.losses).front() / static_cast<double>(labels.size()), expected.at("loss").get<double>(),
              tolerance);
  const std::vector<float> gradient = host_copy(step.gradients());
  ASSERT_EQ(expected.at("gradients").size(), model.table().parameters().size());
  double squares = 0;
  for (const Parameter& parameter : model.table().parameters()) {
    expect_close(expected.at("gradients").at(parameter.name), gradient, parameter.range,
                 "gradient of " + parameter.name);
    for (const double g : expected.at("gradients").at(parameter.name)) squares += g * g;
  }
  double norm = 0;
  Kokkos::deep_copy(norm, step.norm);
  EXPECT_NEAR(norm, std::sqrt(squares), tolerance * std::sqrt(squares));

  const std::vector<float> stepped = host_copy(model.parameters());
  for (const Parameter& parameter : model.table().parameters()) {
    const json& wanted = expected.at("stepped").at(parameter.name);
    for (index_t i = 0; i < parameter.range.extent; ++i) {
      const auto at = static_cast<std::size_t>(parameter.range.offset + i);
      // Adam's first step is about rate x sign(g): where g is but rounding (keys' biases), so is the step.
      if (std::abs(gradient[at]) < 1e-4) continue;
      EXPECT_NEAR(stepped[at], wanted[static_cast<std::size_t>(i)].get<double>(), 1e-2 * tolerance / 1e-4)
          << parameter.name << " after the step, element " << i;
    }
  }
}

class oracle : public ::testing::TestWithParam<kernels::Backend> {};

TEST_P(oracle, gpt_step_is_pytorchs) {
  constexpr index_t B = 2, T = 6, V = 11;
  Model<float> model = make_gpt<float>({.V = V, .T = T, .C = 8, .H = 2, .blocks = 2});
  std::vector<std::int32_t> words, labels;
  for (std::int32_t b = 0; b < B; ++b)
    for (std::int32_t t = 0; t < T; ++t) words.push_back((7 * b + 3 * t * t) % static_cast<std::int32_t>(V));
  for (std::int32_t i = 0; i < B * T; ++i) labels.push_back((5 * i + 2) % static_cast<std::int32_t>(V));
  const Matrix<std::int32_t> tokens("tokens", B, T);
  fill(tokens, words);
  check_step(stored("gpt"), model, {}, tokens, labels, GetParam());
}

TEST_P(oracle, cnn_step_is_pytorchs) {
  constexpr index_t B = 3, pixels = 36, V = 4;
  Model<float> model =
      make_cnn<float>({.rows = 6, .columns = 6, .channels = 1, .width = {3, 5}, .depth = 1, .classes = V});
  std::vector<float> images;
  for (index_t i = 0; i < B * pixels; ++i) images.push_back(wave(i, 99, 1, 0));
  const Matrix<float> x("x", B, pixels);
  fill(x, images);
  const json expected = stored("cnn");
  check_step(expected, model, x, {}, {1, 0, 3}, GetParam());
  const std::vector<float> state = host_copy(model.running());
  ASSERT_EQ(expected.at("state").size(), model.statistics_table().parameters().size());
  for (const Parameter& statistic : model.statistics_table().parameters())
    expect_close(expected.at("state").at(statistic.name), state, statistic.range, statistic.name);
}

INSTANTIATE_TEST_SUITE_P(backends, oracle, ::testing::Values(kernels::Backend::automatic, kernels::Backend::portable));

}  // namespace
}  // namespace partita::nn::oracle_tests
