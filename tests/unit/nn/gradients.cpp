// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cmath>
#include <partita/kernels/loss.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>

#include "problem.hpp"

// Whole models in double: analytic gradients of every parameter against central differences, and the two halves of
// backward apart from each other.

namespace partita::nn::test {
namespace {

struct Case {
  const char* name;
  Problem (*make)();
};

GptShape small_gpt() { return {.V = 5, .T = 4, .C = 6, .H = 2, .blocks = 2}; }
CnnShape small_cnn(CnnKind kind) {
  return {.kind = kind, .rows = 5, .columns = 4, .channels = 2, .width = {2, 3}, .depth = 1, .classes = 3};
}

const Case cases[] = {
    {"gpt", [] { return Problem(make_gpt<double>(small_gpt(), 3), 3, 5, 4); }},
    {"gpt_tied_plain_attention",
     [] {
       GptShape shape = small_gpt();
       shape.tied = true;
       shape.attention = kernels::AttentionAlgorithm::plain;
       return Problem(make_gpt<double>(shape, 4), 2, 5, 4);
     }},
    {"gpt_dropout",
     [] {
       GptShape shape = small_gpt();
       shape.dropout = 0.25;
       return Problem(make_gpt<double>(shape, 5), 2, 5, 4);
     }},
    {"gpt_rms_norm",
     [] {
       GptShape shape = small_gpt();
       shape.rms_norm = true;
       return Problem(make_gpt<double>(shape, 9), 2, 5, 4);
     }},
    {"vgg_group_norm",
     [] {
       CnnShape shape = small_cnn(CnnKind::vgg);
       shape.width = {2, 4};
       shape.groups = 2;
       return Problem(make_cnn<double>(shape, 10), 3, 3);
     }},
    {"resnet", [] { return Problem(make_cnn<double>(small_cnn(CnnKind::resnet), 6), 4, 3); }},
    {"vgg", [] { return Problem(make_cnn<double>(small_cnn(CnnKind::vgg), 7), 4, 3); }},
};

class gradients : public ::testing::TestWithParam<Case> {};

TEST_P(gradients, of_every_parameter_agree_with_central_differences) {
  Problem problem = GetParam().make();
  problem.loss();
  problem.backward();
  const std::vector<double> gradient = problem.gradients();
  const auto parameters = problem.model.parameters();
  const auto w = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), parameters);

  // Central differences err by h^2 f'''/6 and by eps f / h. Norms of a few columns make third derivatives of thousands.
  constexpr double h = 1e-5, tolerance = 1e-6;
  for (std::size_t i = 0; i < w.extent(0); ++i) {
    const double centre = w(i);
    w(i) = centre + h;
    Kokkos::deep_copy(parameters, w);
    const double above = problem.loss();
    w(i) = centre - h;
    Kokkos::deep_copy(parameters, w);
    const double below = problem.loss();
    w(i) = centre;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * h), tolerance * std::max(1.0, std::abs(gradient[i])))
        << "parameter " << i;
  }
}

TEST_P(gradients, are_the_same_when_the_halves_run_apart) {
  Problem problem = GetParam().make();
  problem.loss();
  problem.backward();
  const std::vector<double> together = problem.gradients();

  problem.loss();
  Kokkos::deep_copy(problem.model.gradients(), -1.0);
  const Call<double> call = problem.call();
  problem.model.backward_input(call, 0, problem.x, {}, problem.observer);
  // Another slot may come in between, as in a pipeline.
  problem.model.forward(call, 1, problem.x, problem.observer);
  problem.model.backward_weights(call, 0, problem.x, problem.model.gradients(), problem.observer);
  EXPECT_EQ(problem.gradients(), together);
}

TEST_P(gradients, every_range_is_final_once) {
  struct Listener final : Observer {
    void after(index_t, Pass, index_t, std::span<const Range> final, const Exec&) override {
      for (const Range& range : final)
        for (index_t i = range.offset; i < range.end(); ++i) ++times[static_cast<std::size_t>(i)];
    }
    std::vector<int> times;
  } listener;
  Problem problem = GetParam().make();
  listener.times.resize(static_cast<std::size_t>(problem.model.table().size()));
  problem.loss();
  problem.model.backward(problem.call(), 0, problem.x, problem.model.gradients(), listener);
  EXPECT_EQ(listener.times, std::vector<int>(listener.times.size(), 1));
}

INSTANTIATE_TEST_SUITE_P(models, gradients, ::testing::ValuesIn(cases), [](const auto& at) { return at.param.name; });

TEST(gradients, of_the_input_agree_with_central_differences) {
  Problem problem(make_cnn<double>(small_cnn(CnnKind::resnet), 8), 3, 3);
  problem.loss();
  const Matrix<double> dx("dx", problem.x.extent(0), problem.x.extent(1));
  problem.model.backward_input(problem.call(), 0, problem.x, dx, problem.observer);
  const auto got = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), dx);
  const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), problem.x);
  constexpr double h = 1e-5;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double centre = x.data()[i];
    double side[2];
    for (const int s : {0, 1}) {
      x.data()[i] = centre + (s == 0 ? h : -h);
      Kokkos::deep_copy(problem.x, x);
      side[s] = problem.loss();
    }
    x.data()[i] = centre;
    EXPECT_NEAR(got.data()[i], (side[0] - side[1]) / (2 * h), 1e-7) << "pixel " << i;
  }
}

}  // namespace
}  // namespace partita::nn::test
