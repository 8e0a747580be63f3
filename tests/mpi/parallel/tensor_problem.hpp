// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <partita/parallel/tensor/between.hpp>
#include <partita/parallel/tensor/slices.hpp>
#include <partita/parallel/tensor/tensor_parallel.hpp>
#include <partita/parallel/tensor/vocabulary_loss.hpp>

#include "problem.hpp"

namespace partita::parallel::test {

/// What is trained: a decoder (V > 0), or an MLP.
struct Shape {
  const char* name;
  nn::GptShape gpt;
  nn::MlpShape mlp;
  index_t batch = 12;

  bool language() const { return std::string_view(name) != "mlp"; }
  template <class Scalar>
  nn::Model<Scalar> whole(index_t chunks) const {
    const nn::ModelOptions options{.seed = 7, .chunks = chunks};
    return language() ? nn::make_gpt<Scalar>(gpt, options) : nn::make_mlp<Scalar>(mlp, options);
  }
};

// No extent divides by the ranks.
inline const Shape decoder{"gpt", {.V = 11, .T = 7, .C = 20, .H = 5, .blocks = 2, .F = 23, .dropout = 0.2}, {}};
inline const Shape tied{
    "tied", {.V = 13, .T = 5, .C = 12, .H = 4, .blocks = 1, .F = 17, .tied = true, .rms_norm = true}, {}};
inline const Shape perceptron{"mlp", {}, {9, {11, 6, 7}, 5, kernels::Activation::relu}};

struct Way {
  TensorOptions tensor = {};
  index_t micro_batches = 1;
  index_t bucket_bytes = 0;
};

/// The step of a split model on a mesh of replicas x parts.
template <class Scalar>
struct Split {
  Split(const Shape& of, const comm::Communicator& replicas, const comm::Communicator& parts, const Way& way,
        index_t chunks)
      : shape(of),
        context(Exec(), {.backend = kernels::Backend::automatic, .deterministic = chunks > 0, .per_kernel = {}}),
        division(nn::divide(of.batch, replicas.size(), replicas.rank(), way.micro_batches, chunks)),
        whole(of.whole<Scalar>(std::max<index_t>(chunks, 1))),
        axis(parts, options_of(way, chunks), of.language() ? of.gpt.T : 1,
             nn::gpt_leaves(of.gpt, std::max<index_t>(chunks, 1)).tokens),
        model(make(of, parts, std::max<index_t>(chunks, 1))),
        strategy(replicas, axis, {.how = way.tensor.how, .bucket_bytes = way.bucket_bytes}, model, whole.table(),
                 division, 7),
        pass(model, division, nn::in_turn(way.micro_batches), *head, &strategy.sum()),
        update(strategy.make_update(
            context.exec(), {.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.01, .clip_norm = 2})),
        step(context, pass, strategy.exchange(), update.get(), 5),
        inputs(model, division.rows, whole.output().classes),
        losses("losses", division.pieces.size()) {}

  static TensorOptions options_of(const Way& way, index_t chunks) {
    TensorOptions options = way.tensor;
    options.deterministic = chunks > 0;
    return options;
  }
  nn::Model<Scalar> make(const Shape& of, const comm::Communicator& parts, index_t chunks) {
    const TensorBetween<Scalar> between(axis);
    const nn::ModelOptions options{.seed = 7, .chunks = chunks};
    if (!of.language()) {
      head = std::make_unique<nn::WholeRows<Scalar>>(kernels::Loss::cross_entropy, nn::OutputShape{1, of.mlp.classes});
      return {nn::mlp_layers<Scalar>(of.mlp, chunks, mlp_slices(of.mlp, chunks, parts.size(), parts.rank()), between),
              {1, of.mlp.classes},
              options};
    }
    const nn::GptSlices slices = gpt_slices(of.gpt, chunks, axis.options().sequence, parts.size(), parts.rank());
    const Slice words = parts.size() == 1 ? partita::whole(of.gpt.V) : slices.vocabulary;
    head = std::make_unique<VocabularyParallelLoss<Scalar>>(parts, axis.options().how, kernels::Loss::cross_entropy,
                                                            nn::OutputShape{of.gpt.T, of.gpt.V}, words,
                                                            nn::gpt_leaves(of.gpt, chunks).vocabulary);
    return {nn::gpt_layers<Scalar>(of.gpt, chunks, slices, between), {of.gpt.T, words.extent}, options};
  }

  double run(index_t s) {
    nn::Observer nobody;
    inputs.fill(s);
    step.run(inputs.batch(), s, losses, norm, nobody);
    context.exec().fence();
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), losses);
    terms.assign(host.data(), host.data() + host.extent(0));
    double value = 0;
    Kokkos::deep_copy(value, norm);
    return value;
  }

  const Shape& shape;
  kernels::Context context;
  nn::Division division;
  nn::Model<Scalar> whole;
  TensorAxis<Scalar> axis;
  std::unique_ptr<nn::LossHead<Scalar>> head;
  nn::Model<Scalar> model;
  TensorParallel<Scalar> strategy;
  nn::GradientPass<Scalar> pass;
  std::unique_ptr<nn::Update<Scalar>> update;
  nn::TrainStep<Scalar> step;
  Inputs<Scalar> inputs;
  Vector<double> losses;
  Kokkos::View<double, Memory> norm{"norm"};
  std::vector<double> terms;
};

}  // namespace partita::parallel::test
