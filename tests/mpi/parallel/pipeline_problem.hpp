// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <partita/parallel/pipeline/balance.hpp>
#include <partita/parallel/pipeline/pipeline.hpp>
#include <partita/parallel/pipeline/schedules.hpp>

#include "problem.hpp"

namespace partita::parallel::test {

/// A schedule over as many ranks as there are, its stages of a list of layers as even as can be.
inline PipelinePlan plan_of(Schedule schedule, int ranks, index_t micro_batches, index_t layers) {
  const int of_a_rank = schedule == Schedule::zb_v || schedule == Schedule::interleaved ? 2 : 1;
  const PipelineShape shape{ranks, of_a_rank, micro_batches};
  PipelinePlan plan{make_schedule(schedule, shape), {}, equal_stages(layers, shape.stages())};
  for (int s = 0; s < shape.stages(); ++s) plan.rank_of_stage.push_back(rank_of_stage(schedule, shape, s));
  return plan;
}

/// Eight layers: an MLP of four products, whose activations are units of their own but for the last.
inline nn::MlpShape deep_mlp(index_t width = 6) {
  return {width, {width, width, width, width}, 4, kernels::Activation::gelu};
}
inline constexpr index_t deep_mlp_layers = 9;

/// A training step of a pipeline over the ranks of an axis, without replicas, its parts plugged together, and its data.
template <class Scalar>
struct Stages {
  Stages(const nn::LayerList<Scalar>& layers, nn::OutputShape output, index_t features, const comm::Communicator& over,
         PipelinePlan of, index_t batch, const Options& options, bool step_barrier = true)
      : axis(over),
        alone(over.split(over.rank(), 0, "data")),
        plan(std::move(of)),
        context(Exec(), {.deterministic = options.chunks > 0, .per_kernel = {}}),
        whole(layers, output, how(options).without_weights()),
        model(layers, output, how(options), plan.cuts(), plan.stages_of(axis.rank())),
        division(nn::divide(batch, 1, 0, options.micro_batches, options.chunks)),
        strategy(alone, axis, axis.rank(), plan, step_barrier, options.parallel(), model, whole.table(), division, 7),
        head(kernels::Loss::cross_entropy, model),
        pass(model, division, strategy.actions(), head, &strategy.sum(), &strategy.links()),
        update(strategy.make_update(context.exec(), options.update)),
        step(context, pass, strategy.exchange(), update.get(), 5),
        x("x", batch, features),
        label("label", batch),
        losses("losses", division.pieces.size()) {}
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;

  static nn::ModelOptions how(const Options& options) {
    return {.seed = 7, .chunks = std::max<index_t>(options.chunks, 1)};
  }

  void fill(index_t s) {
    const auto host_x = Kokkos::create_mirror_view(x);
    const auto host_label = Kokkos::create_mirror_view(label);
    for (std::size_t i = 0; i < host_x.size(); ++i)
      host_x.data()[i] =
          static_cast<Scalar>(static_cast<float>(normal(5, Stream::test, static_cast<std::uint64_t>(s) * 100000 + i)));
    for (std::size_t b = 0; b < host_label.extent(0); ++b)
      host_label(b) = static_cast<std::int32_t>(random_bits(8, Stream::test, static_cast<std::uint64_t>(s) * 1000 + b) %
                                                static_cast<std::uint64_t>(whole.output().classes));
    Kokkos::deep_copy(x, host_x);
    Kokkos::deep_copy(label, host_label);
  }
  void run(index_t s, nn::Observer& observer) { step.run({x, {}, label}, s, losses, norm, observer); }

  const comm::Communicator& axis;
  comm::Communicator alone;
  PipelinePlan plan;
  kernels::Context context;
  nn::Model<Scalar> whole, model;
  nn::Division division;
  Pipeline<Scalar> strategy;
  nn::WholeRows<Scalar> head;
  nn::GradientPass<Scalar> pass;
  std::unique_ptr<nn::Update<Scalar>> update;
  nn::TrainStep<Scalar> step;
  Matrix<Scalar> x;
  Vector<std::int32_t> label;
  Vector<double> losses;
  Kokkos::View<double, Memory> norm{"norm"};
};

}  // namespace partita::parallel::test
