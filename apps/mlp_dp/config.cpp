// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <partita/data/sampler.hpp>
#include <partita/driver/kernel_options.hpp>

namespace partita::mlp_dp {
namespace {

using config::Deck;
using config::IntRange;
using config::RealRange;

DataConfig read_data(Deck& deck, std::uint64_t seed) {
  DataConfig data;
  data.source =
      deck.choice("data.source", data.source,
                  {{"fashion_mnist", Source::fashion_mnist}, {"idx", Source::idx}, {"synthetic", Source::synthetic}},
                  "Fashion-MNIST, any folder of IDX files named like MNIST's, or seeded numbers");
  data.path = deck.text("data.path", "", "folder of the IDX files; empty: where Debian's package puts Fashion-MNIST");
  if (data.source == Source::idx && data.path.empty())
    deck.reject("data.path",
                "data.source = \"idx\" needs a folder with train-images-idx3-ubyte[.gz] and the other three");
  data.normalisation.mean =
      deck.real("data.mean", data.normalisation.mean, {}, "subtracted from pixels scaled to [0, 1]");
  data.normalisation.deviation =
      deck.real("data.deviation", data.normalisation.deviation, RealRange::above(0), "they are divided by this then");
  data.synthetic.seed = seed;
  data.synthetic.features =
      deck.integer("data.features", data.synthetic.features, IntRange::at_least(1), "synthetic: numbers a sample");
  data.synthetic.classes =
      deck.integer("data.classes", data.synthetic.classes, IntRange::at_least(2), "synthetic and idx: classes");
  data.synthetic.noise = deck.real("data.noise", data.synthetic.noise, RealRange::at_least(0),
                                   "synthetic: deviation around the prototypes");
  data.synthetic_samples =
      deck.integer("data.samples", data.synthetic_samples, IntRange::at_least(1), "synthetic: training samples");
  data.synthetic_held_out =
      deck.integer("data.held_out", data.synthetic_held_out, IntRange::at_least(1), "synthetic: held-out samples");
  return data;
}

void read_optimizer(Deck& deck, Config& config) {
  using kernels::Optimizer;
  kernels::OptimizerOptions& options = config.optimizer;
  options.kind =
      deck.choice("train.optimizer", Optimizer::adam,
                  {{"sgd", Optimizer::sgd}, {"adagrad", Optimizer::adagrad}, {"adam", Optimizer::adam}}, "update rule");
  config.learning_rate =
      deck.real("train.learning_rate", config.learning_rate, RealRange::above(0), "step size of the update rule");
  config.schedule = deck.choice("train.schedule", config.schedule,
                                {{"constant", nn::Schedule::constant}, {"cosine", nn::Schedule::cosine}},
                                "how the learning rate moves: not at all, or along half a cosine to 0 at the end");
  options.momentum = deck.real("train.momentum", 0, {0, 1, false, true}, "sgd: share of the last update that is kept");
  options.beta1 = deck.real("train.beta1", options.beta1, {0, 1, false, true}, "adam: decay of the first moment");
  options.beta2 = deck.real("train.beta2", options.beta2, {0, 1, false, true}, "adam: decay of the second moment");
  options.epsilon = deck.real("train.epsilon", options.kind == Optimizer::adagrad ? 1e-10 : 1e-8, RealRange::above(0),
                              "adam and adagrad: added to the root");
  options.weight_decay = deck.real("train.weight_decay", 0, RealRange::at_least(0), "added to the gradient, times w");
}

void read_training(Deck& deck, int ranks, Config& config) {
  config.steps =
      deck.integer("train.steps", 0, IntRange::at_least(0),
                   {"end after so many steps, if train.epochs do not end first; 0 = no such limit", "steps"});
  config.epochs = deck.integer("train.epochs", config.steps > 0 ? 0 : 1, IntRange::at_least(0),
                               {"end after so many passes over the training data; 0 = no such limit", "epochs"});
  if (config.steps == 0 && config.epochs == 0)
    deck.reject("train.steps", "nothing to do; give train.steps or train.epochs");

  parallel::DataParallelOptions& options = config.parallel;
  options.batch =
      deck.integer("train.batch", options.batch, IntRange::at_least(1), {"global batch, over all ranks", "samples"});
  options.deterministic =
      deck.boolean("train.deterministic", false, "the same bits on any number of ranks and threads; slower");
  options.chunks = deck.integer("train.deterministic_chunks", options.chunks, IntRange::at_least(1),
                                "leaves of the deterministic sum over the batch; at least the number of ranks");
  if (options.batch < ranks)
    deck.reject("train.batch",
                fmt::format("a global batch of {} cannot be shared by {} ranks; give at least {}, or use "
                            "fewer ranks",
                            options.batch, ranks, ranks));
  if (options.deterministic && options.chunks < ranks)
    deck.reject("train.deterministic_chunks",
                fmt::format("{} chunks cannot be shared by {} ranks; give at least {}, or use fewer ranks",
                            options.chunks, ranks, ranks));
  options.allreduce = deck.choice("parallel.allreduce", options.allreduce,
                                  {{"mpi", comm::Allreduce::mpi}, {"ring", comm::Allreduce::ring}},
                                  "how gradients are summed over ranks: MPI_Allreduce, or Partita's own ring");
  options.separate_wait = deck.boolean("parallel.separate_wait", options.separate_wait,
                                       "a barrier ahead of the all-reduce, so that waiting is not timed as transfer");
  options.loss = deck.choice("train.loss", options.loss,
                             {{"cross_entropy", kernels::Loss::cross_entropy}, {"mse", kernels::Loss::mse}},
                             "softmax cross-entropy, or mean squared error against one-hot labels");
}

}  // namespace

Config read_config(driver::Session& session, int ranks) {
  using kernels::Activation;
  Deck& deck = session.deck();
  Config config;
  config.run = driver::read_run_options(deck, "runs/mlp_dp.h5");
  config.mode = deck.choice("run.mode", config.mode, {{"train", Mode::train}, {"infer", Mode::infer}},
                            "train, or forward and loss only");
  config.seed = static_cast<std::uint64_t>(deck.integer(
      "train.seed", 1, IntRange::at_least(0), "weights, order of the data and synthetic data follow from it"));
  config.data = read_data(deck, config.seed);
  config.hidden = deck.integers("model.hidden", std::vector<index_t>{512, 256}, IntRange::at_least(1),
                                "widths of the hidden layers; [] = a linear classifier");
  config.activation = deck.choice("model.activation", config.activation,
                                  {{"relu", Activation::relu},
                                   {"tanh", Activation::tanh},
                                   {"sigmoid", Activation::sigmoid},
                                   {"gelu", Activation::gelu},
                                   {"gelu_tanh", Activation::gelu_tanh},
                                   {"silu", Activation::silu}},
                                  "of the hidden layers");
  read_training(deck, ranks, config);
  read_optimizer(deck, config);
  config.evaluate_every = deck.integer("evaluate.every", 0, IntRange::at_least(0),
                                       {"steps between looks at held-out data; 0 = after every epoch", "steps"});
  config.kernels = driver::read_kernel_options(deck);
  config.kernels.deterministic = config.parallel.deterministic;
  config.least_accuracy = deck.real("verify.least_accuracy", 0, {0, 1},
                                    "held-out accuracy below which a run of all train.epochs fails (exit 3)");

  if (config.data.source == Source::synthetic)
    if (const std::string problem = data::Sampler::problem(config.data.synthetic_samples, config.parallel.batch);
        !problem.empty())
      deck.reject("train.batch", problem);
  return config;
}

}  // namespace partita::mlp_dp
