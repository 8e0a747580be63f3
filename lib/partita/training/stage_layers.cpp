// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/stage_layers.hpp>

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/nn/gradient_sum.hpp>

namespace partita::training {
namespace {

constexpr int passes = 3;

// Seconds of a layer, forward and back, on `rows` rows of ones.
template <class Scalar>
double seconds_of(kernels::Context& context, nn::Model<Scalar>& model, int layer, index_t rows) {
  using nn::Sum;
  const Exec& exec = context.exec();
  nn::Stage<Scalar>& stage = model.stage(layer);
  stage.plan({.rows = rows});
  const bool tokens = layer == 0 && model.reads_tokens();
  const auto B = static_cast<std::size_t>(rows), inputs = static_cast<std::size_t>(stage.inputs());
  const Matrix<Scalar> x("partita::training::share_layers::x", tokens ? 0 : B, inputs);
  const Matrix<std::int32_t> words("partita::training::share_layers::tokens", tokens ? B : 0, inputs);
  const Matrix<Scalar> dx("partita::training::share_layers::dx", layer > 0 ? B : 0, inputs);
  kernels::fill<Scalar>(exec, static_cast<Scalar>(1.0f), Vector<Scalar>(x.data(), x.size()));

  nn::Observer nobody;
  const nn::Division division = nn::divide(rows, 1, 0, 1, 0);
  nn::FlatGradientSum<Sum<Scalar>> sum(model.table().size(), model.statistics_table().size(), division);
  nn::Call<Scalar> call = model.call(context, nobody);
  call.rows = {0, rows, rows};
  if (tokens) call.tokens = words;
  const nn::Destination<Sum<Scalar>> gradients = sum.destination(exec, 0, 0);
  double least = std::numeric_limits<double>::infinity();
  for (int k = 0; k <= passes; ++k) {
    nn::Call<Scalar> placed = stage.place(call, 0, 0);
    placed.gradients = &gradients;
    placed.statistics = sum.statistics(0);
    context.measure_backends(k == 0);
    exec.fence("partita::training::share_layers: a pass begins");
    const std::int64_t start = now_ns();
    const ConstMatrix<Scalar> in = tokens ? ConstMatrix<Scalar>() : ConstMatrix<Scalar>(x);
    stage.forward(placed, in);
    stage.backward(nn::Half::both, placed, in, layer > 0 ? dx : Matrix<Scalar>());
    exec.fence("partita::training::share_layers: a pass has ended");
    if (k > 0) least = std::min(least, seconds(now_ns() - start));  // the first chooses backends and takes memory
  }
  context.measure_backends(false);
  return least;
}

template <class Scalar>
std::vector<double> measure(const ModelPlan<Scalar>& plan, const nn::ModelOptions& how, std::size_t layers,
                            index_t rows, const kernels::Options& kernels) {
  kernels::Context context(Exec(), kernels);
  std::vector<index_t> cuts(layers - 1);
  std::iota(cuts.begin(), cuts.end(), 1);
  std::vector<double> costs;
  for (std::size_t l = 0; l < layers; ++l) {
    const int layer = static_cast<int>(l);
    nn::Model<Scalar> alone(plan.layers, plan.output, how, cuts, {layer});
    costs.push_back(seconds_of(context, alone, layer, rows));
  }
  return costs;
}

}  // namespace

template <class Scalar>
StageLayers share_layers(const comm::Communicator& world, const PipelineMesh& mesh, int stages,
                         const ModelPlan<Scalar>& plan, const nn::Model<Scalar>& whole, const nn::ModelOptions& how,
                         index_t rows, const kernels::Options& kernels) {
  const auto& units = whole.stages().front().chain().units();
  const index_t count = std::ssize(units);
  StageLayers shared;
  shared.measured = mesh.stages.empty() && mesh.balance == parallel::Balance::measured;
  if (!mesh.stages.empty()) {
    const index_t sum = std::accumulate(mesh.stages.begin(), mesh.stages.end(), index_t{0});
    if (std::ssize(mesh.stages) != stages || sum != count)
      refuse<UsageError>(
          "parallel.stages",
          fmt::format("{} layers in {} stages: [{}]", sum, mesh.stages.size(), fmt::join(mesh.stages, ", ")),
          fmt::format("the model's {} layers in {} stages", count, stages));
  } else if (count < stages) {
    refuse<UsageError>("parallel.pipeline", fmt::format("{} stages of a model of {} layers", stages, count),
                       "at most as many stages as layers");
  }
  if (shared.measured) {
    world.on_root([&] { shared.cost = measure(plan, how, units.size(), rows, kernels); });
    world.broadcast(shared.cost);
  } else {
    for (std::size_t l = 0; l < units.size(); ++l) {
      const nn::PassFlop flop = l == 0 ? units[l]->flop_without_dx(1) : units[l]->flop(1);
      shared.cost.push_back(flop.total() + flop.again);
    }
  }
  const std::vector<index_t> equal = parallel::equal_stages(count, stages);
  shared.layers = !mesh.stages.empty()                       ? mesh.stages
                  : mesh.balance == parallel::Balance::equal ? equal
                                                             : parallel::balance_stages(shared.cost, stages);
  shared.largest_over_mean = parallel::imbalance(shared.cost, shared.layers);
  shared.gain_over_equal = parallel::gain_over_equal(shared.cost, shared.layers);
  return shared;
}

#define PARTITA_STAGE_LAYERS(S)                                                                               \
  template StageLayers share_layers(const comm::Communicator&, const PipelineMesh&, int, const ModelPlan<S>&, \
                                    const nn::Model<S>&, const nn::ModelOptions&, index_t, const kernels::Options&);
PARTITA_STAGE_LAYERS(float)
PARTITA_STAGE_LAYERS(bfloat16)
PARTITA_STAGE_LAYERS(float16)
#undef PARTITA_STAGE_LAYERS

}  // namespace partita::training
