// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/sampler.hpp>
#include <partita/driver/kernel_options.hpp>
#include <partita/training/extents.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {
namespace {

using config::Deck;
using config::IntRange;
using config::RealRange;
using kernels::Optimizer;

constexpr index_t most_parts = index_t{1} << 20;  // of a batch

void read_update(Deck& deck, TrainOptions& train) {
  kernels::OptimizerOptions& rule = train.update.optimizer;
  rule.kind = deck.choice("train.optimizer", Optimizer::adam,
                          {{"sgd", Optimizer::sgd},
                           {"adagrad", Optimizer::adagrad},
                           {"adam", Optimizer::adam},
                           {"adamw", Optimizer::adamw}},
                          "update rule");
  train.update.learning_rate =
      deck.real("train.learning_rate", train.update.learning_rate, RealRange::above(0), "step size of the update rule");
  train.schedule = deck.choice("train.schedule", train.schedule,
                               {{"constant", nn::LearningRate::constant}, {"cosine", nn::LearningRate::cosine}},
                               "how the learning rate moves: not at all, or along half a cosine to 0 at the end");
  rule.momentum = deck.real("train.momentum", 0, {0, 1, false, true}, "sgd: share of the last update that is kept");
  rule.beta1 = deck.real("train.beta1", rule.beta1, {0, 1, false, true}, "adam, adamw: decay of the first moment");
  rule.beta2 = deck.real("train.beta2", rule.beta2, {0, 1, false, true}, "adam, adamw: decay of the second moment");
  rule.epsilon = deck.real("train.epsilon", rule.kind == Optimizer::adagrad ? 1e-10 : 1e-8, RealRange::above(0),
                           "adam, adamw and adagrad: added to the root");
  rule.weight_decay = deck.real("train.weight_decay", rule.kind == Optimizer::adamw ? 0.01 : 0, RealRange::at_least(0),
                                "added to the gradient, times w; adamw: taken from w, times the learning rate");
  train.update.clip_norm = deck.real("train.clip_norm", 0, RealRange::at_least(0),
                                     "largest norm of a step's gradient, which is scaled down to it; 0 = not clipped");
  train.update.loss_scale.initial = deck.real("train.loss_scale", train.update.loss_scale.initial, RealRange::above(0),
                                              "fp16: factor of the loss to begin with");
}

void read_extent(Deck& deck, TrainOptions& train) {
  train.steps = deck.integer("train.steps", 0, IntRange::count(),
                             {"end after so many steps, if train.epochs do not end first; 0 = no such limit", "steps"});
  train.epochs = deck.integer("train.epochs", train.steps > 0 ? 0 : 1, IntRange::extent(0),
                              {"end after so many passes over the training data; 0 = no such limit", "epochs"});
  if (train.steps == 0 && train.epochs == 0)
    deck.reject("train.steps", "nothing to do; give train.steps or train.epochs");
  train.batch =
      deck.integer("train.batch", train.batch, IntRange::extent(), {"global batch, over all ranks", "samples"});
  train.micro_batches =
      deck.integer("train.micro_batches", train.micro_batches, {1, most_parts},
                   "parts of a rank's rows that go through the model one after the other; gradients are summed");
}

void read_determinism(Deck& deck, index_t ranks, TrainOptions& train) {
  train.deterministic =
      deck.boolean("train.deterministic", false, "the same bits on any number of ranks and threads; slower");
  train.chunks = deck.integer("train.deterministic_chunks", train.chunks, {1, most_parts},
                              "leaves of the deterministic sum over the batch; at least ranks x micro_batches");
  try {
    train.division(ranks, 0);
  } catch (const UsageError& error) {
    const bool rows = !train.deterministic || train.batch < ranks * train.micro_batches;
    deck.reject(rows ? "train.batch" : "train.deterministic_chunks", error.what());
  }
  train.kernels = driver::read_kernel_options(deck);
  train.kernels.deterministic = train.deterministic;
  const auto asked = [&](const std::string& key, kernels::Backend backend) {
    if (train.deterministic && backend == kernels::Backend::vendor)
      deck.reject(key,
                  "train.deterministic = true runs the portable kernels alone; give \"automatic\" or \"portable\"");
  };
  asked("kernels.backend", train.kernels.backend);
  for (const auto& [kernel, backend] : train.kernels.per_kernel) asked("kernels." + kernel, backend);
}

}  // namespace

TrainOptions read_train_options(Deck& deck, index_t ranks) {
  TrainOptions train;
  train.mode = deck.choice("run.mode", train.mode, {{"train", Mode::train}, {"infer", Mode::infer}},
                           "train, or forward and loss only");
  train.seed = static_cast<std::uint64_t>(deck.integer(
      "train.seed", 1, IntRange::at_least(0), "weights, order of the data, dropout and synthetic data follow from it"));
  read_extent(deck, train);
  read_determinism(deck, ranks, train);
  train.precision = deck.choice("train.precision", train.precision,
                                {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}, {"fp16", Precision::fp16}},
                                "what weights and activations are stored in; sums and master weights are fp32");
  train.loss = deck.choice("train.loss", train.loss,
                           {{"cross_entropy", kernels::Loss::cross_entropy}, {"mse", kernels::Loss::mse}},
                           "softmax cross-entropy, or mean squared error against one-hot labels");
  read_update(deck, train);
  train.evaluate_every = deck.integer("evaluate.every", 0, IntRange::count(),
                                      {"steps between looks at held-out data; 0 = after every epoch", "steps"});
  train.least_accuracy = deck.real("verify.least_accuracy", 0, {0, 1},
                                   "held-out accuracy below which a run of all train.epochs fails (exit 3)");
  return train;
}

void check(const Deck& deck, const DataOptions& data, const TrainOptions& train, const ModelOptions& model) {
  if (data.source != Source::synthetic) return;  // the files say how many samples there are
  if (const std::string problem = data::Sampler::problem(data.samples, train.batch); !problem.empty())
    deck.reject("train.batch", problem);
  if (const auto problem = find_extent_problem(model, synthetic_shape(data), train.batch))
    deck.reject(problem->key, problem->found, problem->expected);
}

AllreduceOptions read_allreduce_options(Deck& deck) {
  AllreduceOptions options;
  options.how =
      deck.choice("parallel.allreduce", options.how, {{"mpi", comm::Allreduce::mpi}, {"ring", comm::Allreduce::ring}},
                  "how gradients are summed over ranks: MPI_Allreduce, or Partita's own ring");
  options.separate_wait = deck.boolean("parallel.separate_wait", options.separate_wait,
                                       "a barrier ahead of the all-reduce, so that waiting is not timed as transfer");
  return options;
}

const char* to_string(Precision precision) {
  switch (precision) {
    case Precision::bf16:
      return "bf16";
    case Precision::fp16:
      return "fp16";
    default:
      return "fp32";
  }
}

}  // namespace partita::training
