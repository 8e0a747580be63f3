// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/core/random.hpp>
#include <partita/core/tree.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/train_step.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/replicas.hpp>

namespace partita::parallel::test {

/// What is trained: little models on rows that are functions of their place in the batch of a step, so that every rank
/// can make any of them.
struct Kind {
  const char* name;
  index_t batch;
  nn::Recompute recompute = nn::Recompute::none;

  template <class Scalar>
  nn::Model<Scalar> model(index_t chunks, bool weights = true) const {
    const nn::ModelOptions options{.seed = 7, .chunks = chunks, .weights = weights};
    const std::string_view kind = name;
    if (kind == "gpt")
      return nn::make_gpt<Scalar>(
          {.V = 11, .T = 5, .C = 12, .H = 3, .blocks = 2, .tied = true, .dropout = 0.2, .recompute = recompute},
          options);
    if (kind == "cnn")
      return nn::make_cnn<Scalar>(
          {.rows = 7, .columns = 6, .channels = 2, .width = {3, 4}, .depth = 1, .classes = 4, .recompute = recompute},
          options);
    return nn::make_mlp<Scalar>({9, {11, 6}, 4, kernels::Activation::tanh}, options);
  }
};

struct Options {
  comm::Allreduce allreduce = comm::Allreduce::mpi;
  Strategy strategy = Strategy::allreduce;
  index_t bucket_bytes = 0;
  ProgressMode progress = ProgressMode::test;
  index_t local_steps = 1;
  bool average_state = false;
  MeanNorm mean_norm = MeanNorm::average;
  index_t micro_batches = 1;
  index_t chunks = 0;  ///< 0: fast mode
  nn::UpdateOptions update = {.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.01, .clip_norm = 2};

  DataParallelOptions parallel() const {
    return {.strategy = strategy,
            .how = allreduce,
            .bucket_bytes = bucket_bytes,
            .progress = progress,
            .local_steps = local_steps,
            .average_state = average_state,
            .mean_norm = mean_norm};
  }
};

/// A rank's rows of the batch of a step.
template <class Scalar>
struct Inputs {
  /// classes: of the whole model.
  Inputs(const nn::Model<Scalar>& model, Slice mine, index_t all_classes)
      : rows(mine), classes(all_classes), label("label", mine.extent * model.output().labels) {
    if (model.reads_tokens())
      tokens = Matrix<std::int32_t>("tokens", rows.extent, model.inputs());
    else
      x = Matrix<Scalar>("x", rows.extent, model.inputs());
  }

  void fill(index_t s) {
    const auto host_x = Kokkos::create_mirror_view(x);
    const auto host_tokens = Kokkos::create_mirror_view(tokens);
    const auto host_label = Kokkos::create_mirror_view(label);
    const auto place = [&](std::size_t i, std::size_t width) {
      return static_cast<std::uint64_t>((s * 1000 + rows.offset) * static_cast<index_t>(width)) + i;
    };
    for (std::size_t i = 0; i < host_x.size(); ++i)
      host_x.data()[i] = static_cast<Scalar>(static_cast<float>(normal(5, Stream::test, place(i, x.extent(1)))));
    const auto any = [&](std::uint64_t seed, std::uint64_t i) {
      return static_cast<std::int32_t>(random_bits(seed, Stream::test, i) % static_cast<std::uint64_t>(classes));
    };
    const std::size_t labels = label.extent(0) / std::max<std::size_t>(static_cast<std::size_t>(rows.extent), 1);
    for (std::size_t i = 0; i < host_tokens.size(); ++i) host_tokens.data()[i] = any(6, place(i, tokens.extent(1)));
    for (std::size_t i = 0; i < host_label.size(); ++i) host_label(i) = any(8, place(i, labels));
    Kokkos::deep_copy(x, host_x);
    Kokkos::deep_copy(tokens, host_tokens);
    Kokkos::deep_copy(label, host_label);
  }
  nn::Batch<Scalar> batch() const { return {x, tokens, label}; }

  Slice rows;
  index_t classes;
  Matrix<Scalar> x;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;
};

/// A training step of a strategy on a communicator, its parts plugged together, and its data.
template <class Scalar>
struct Replica {
  Replica(const Kind& of, const comm::Communicator& axis, const Options& options)
      : kind(of),
        context(Exec(),
                {.backend = kernels::Backend::automatic, .deterministic = options.chunks > 0, .per_kernel = {}}),
        model(of.model<Scalar>(std::max<index_t>(options.chunks, 1), options.parallel().whole_weights())),
        division(nn::divide(of.batch, axis.size(), axis.rank(), options.micro_batches, options.chunks)),
        strategy(axis, options.parallel(), model, division, 7),
        head(kernels::Loss::cross_entropy, model),
        pass(model, division, nn::in_turn(options.micro_batches), head, &strategy.sum()),
        exchange(strategy.exchange()),
        update(strategy.make_update(context.exec(), options.update)),
        step(context, pass, exchange, update.get(), 5),
        inputs(model, division.rows, model.output().classes),
        losses("losses", division.pieces.size()) {}

  void fill(index_t s) { inputs.fill(s); }
  void run(index_t s, nn::Observer& observer) { step.run(inputs.batch(), s, losses, norm, observer); }

  Kind kind;
  kernels::Context context;
  nn::Model<Scalar> model;
  nn::Division division;
  DataParallel<Scalar> strategy;
  nn::WholeRows<Scalar> head;
  nn::GradientPass<Scalar> pass;
  nn::Exchange<Scalar>& exchange;
  std::unique_ptr<nn::Update<Scalar>> update;
  nn::TrainStep<Scalar> step;
  Inputs<Scalar> inputs;
  Vector<double> losses;
  Kokkos::View<double, Memory> norm{"norm"};
};

/// What some steps of training leave.
template <class Scalar>
struct Trained {
  std::vector<double> losses;  // rank 0 of the communicator: the mean loss of each step
  std::vector<double> norms;
  std::vector<nn::Sum<Scalar>> gradients, running;  // statistics behind the gradients
  std::vector<float> parameters;
  index_t rows = 0, skipped = 0;
  bool agree = false;

  Trained(const Kind& kind, const comm::Communicator& axis, const Options& options, index_t steps) {
    Replica<Scalar> replica(kind, axis, options);
    nn::Observer nobody;
    rows = replica.division.rows.extent;
    for (index_t s = 0; s < steps; ++s) {
      replica.fill(s);
      replica.run(s, nobody);
      replica.context.exec().fence();
      const std::vector<double> all = axis.gather(std::span<const double>(on_host(replica.losses)));
      if (axis.is_root())
        losses.push_back(tree_sum(all) / static_cast<double>(kind.batch * replica.model.output().labels));
      double norm = 0;
      Kokkos::deep_copy(norm, replica.norm);
      norms.push_back(norm);
    }
    gradients = on_host(replica.exchange.gradients());
    for (const auto value : on_host(replica.exchange.statistics())) gradients.push_back(value);
    running = on_host(replica.model.running());
    std::uint64_t hash = hash_of_nothing;
    replica.exchange.visit_weights(replica.context.exec(), [&](ConstVector<Scalar> part) {
      hash = bits_hash<Scalar>(part, hash);
      for (const Scalar value : on_host(part)) parameters.push_back(static_cast<float>(value));
    });
    agree = replicas_agree(axis, hash) && replicas_agree<nn::Sum<Scalar>>(axis, replica.model.running());
    kernels::LossScaleState scaling;
    Kokkos::deep_copy(Kokkos::View<kernels::LossScaleState, Kokkos::HostSpace>(&scaling),
                      replica.update->loss_scale_state());
    skipped = scaling.skipped;
  }

 private:
  template <class T>
  static std::vector<std::remove_const_t<T>> on_host(const Vector<T>& values) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
    return {host.data(), host.data() + host.extent(0)};
  }
};

}  // namespace partita::parallel::test
