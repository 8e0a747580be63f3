// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/train_options.hpp>

#include <fmt/format.h>

#include <partita/driver/kernel_options.hpp>
#include <partita/training/extents.hpp>

namespace partita::training {
namespace {

using config::Deck;
using config::IntRange;
using config::RealRange;
using kernels::Optimizer;

constexpr index_t most_parts = index_t{1} << 20;  // of a batch

constexpr Named<Mode> modes[] = {{"train", Mode::train}, {"infer", Mode::infer}};
constexpr Named<nn::LearningRate> schedules[] = {{"constant", nn::LearningRate::constant},
                                                 {"cosine", nn::LearningRate::cosine}};
constexpr Named<Rival> rivals[] = {{"nothing", Rival::nothing}, {"gzip", Rival::gzip}, {"xz", Rival::xz}};

void read_update(Deck& deck, TrainOptions& train) {
  kernels::OptimizerOptions& rule = train.update.optimizer;
  rule.kind = Optimizer::adam;
  deck.choice("train.optimizer", rule.kind,
              named({Optimizer::sgd, Optimizer::adagrad, Optimizer::adam, Optimizer::adamw}),
              "rule that makes of gradients new weights");
  deck.real("train.learning_rate", train.update.learning_rate, RealRange::above(0), "step size of the update rule");
  deck.choice("train.schedule", train.schedule, schedules,
              "how the learning rate moves: not at all, or along half a cosine to 0 at the end");
  deck.real("train.momentum", rule.momentum, {0, 1, false, true}, "sgd: share of the last update that is kept");
  deck.real("train.beta1", rule.beta1, {0, 1, false, true}, "adam, adamw: decay of the first moment");
  deck.real("train.beta2", rule.beta2, {0, 1, false, true}, "adam, adamw: decay of the second moment");
  rule.epsilon = rule.kind == Optimizer::adagrad ? 1e-10 : 1e-8;
  deck.real("train.epsilon", rule.epsilon, RealRange::above(0), "adam, adamw and adagrad: added to the root");
  rule.weight_decay = rule.kind == Optimizer::adamw ? 0.01 : 0;
  deck.real("train.weight_decay", rule.weight_decay, RealRange::at_least(0),
            "share of a weight that is added to its gradient; adamw: taken from it, times the learning rate");
  deck.real("train.clip_norm", train.update.clip_norm, RealRange::at_least(0),
            "largest norm of a step's gradient, which is scaled down to it; 0 = not clipped");
  const Named<nn::NotFinite> policies[] = {{"stop", nn::NotFinite::stop}, {"skip", nn::NotFinite::skip}};
  deck.choice("train.not_finite", train.update.not_finite, policies,
              "what becomes of a step whose gradient is NaN or infinite: the run ends (exit 3), or the step changes "
              "nothing; fp16 skips it in any case");
  deck.real("train.loss_scale", train.update.loss_scale.initial, RealRange::above(0),
            "fp16: factor of the loss to begin with");
}

void read_extent(Deck& deck, TrainOptions& train) {
  deck.integer("train.steps", train.steps, IntRange::count(),
               {"end after so many steps, if train.epochs do not end first; 0 = no such limit", "steps"});
  train.epochs = train.steps > 0 ? 0 : 1;
  deck.integer("train.epochs", train.epochs, IntRange::extent(0),
               {"end after so many passes over the training data; 0 = no such limit", "epochs"});
  if (train.steps == 0 && train.epochs == 0)
    deck.reject("train.steps", "there is nothing to do", "train.steps or train.epochs above 0");
  deck.integer("train.batch", train.batch, IntRange::extent(), {"global batch, over all ranks", "samples"});
  deck.integer("train.micro_batches", train.micro_batches, {1, most_parts},
               "parts of a rank's rows that go through the model one after the other; gradients are summed");
}

void read_determinism(Deck& deck, TrainOptions& train) {
  deck.boolean("train.deterministic", train.deterministic, "the same bits on any number of ranks and threads; slower");
  deck.integer("train.deterministic_chunks", train.chunks, {1, most_parts},
               "leaves of the deterministic sum over the batch; at least ranks x micro_batches");
  train.kernels = driver::read_kernel_options(deck);
  train.kernels.deterministic = train.deterministic;
  const auto asked = [&](const std::string& key, kernels::Backend backend) {
    if (train.deterministic && backend == kernels::Backend::vendor)
      deck.reject(key, "train.deterministic = true runs the portable kernels alone", "\"automatic\" or \"portable\"");
  };
  asked("kernels.backend", train.kernels.backend);
  for (const auto& [kernel, backend] : train.kernels.per_kernel) asked("kernels." + kernel, backend);
}

// A stream has no epochs, and its samples have indices below those of held-out ones.
void check_stream(const Deck& deck, const DataOptions& data, const TrainOptions& train) {
  if (train.steps == 0) deck.reject("train.steps", "data.source = \"stream\" has no epochs", "above 0");
  if (train.epochs > 0)
    deck.reject("train.epochs", "data.source = \"stream\" has no epochs", "0, and train.steps above 0");
  if (checked_product(train.steps, train.batch) > data::most_streamed)
    deck.reject("train.steps", fmt::format("{} batches of {} samples", train.steps, train.batch),
                fmt::format("at most {} samples of a stream", data::most_streamed));
  const bool drops = data.stream.reader.when_full == data::WhenFull::drop;
  if (drops && train.deterministic)
    deck.reject("data.stream_when_full", "train.deterministic = true, and samples may be lost", "\"block\"");
}

}  // namespace

std::optional<KeyProblem> find_batch_problem(const TrainOptions& train, index_t ranks, index_t samples) {
  const index_t shares = checked_product(ranks, train.micro_batches);
  if (train.batch > samples)
    return KeyProblem{"train.batch",
                      fmt::format("a global batch of {} out of {} training samples", train.batch, samples),
                      "at most as many"};
  if (train.batch < shares)
    return KeyProblem{"train.batch",
                      fmt::format("a global batch of {} cannot be shared by {} ranks in {} micro-batches", train.batch,
                                  ranks, train.micro_batches),
                      fmt::format("at least {}, or fewer ranks", shares)};
  if (train.deterministic && train.chunks < shares)
    return KeyProblem{"train.deterministic_chunks",
                      fmt::format("{} chunks cannot be shared by {} ranks in {} micro-batches", train.chunks, ranks,
                                  train.micro_batches),
                      fmt::format("at least {}, or fewer ranks", shares)};
  return std::nullopt;
}

TrainOptions read_train_options(Deck& deck) {
  TrainOptions train;
  deck.choice("run.mode", train.mode, modes, "train, or forward and loss only");
  train.seed = static_cast<std::uint64_t>(deck.integer(
      "train.seed", 1, IntRange::at_least(0), "weights, order of the data, dropout and synthetic data follow from it"));
  read_extent(deck, train);
  read_determinism(deck, train);
  deck.choice("train.precision", train.precision, precisions,
              "what weights and activations are stored in; sums and master weights are fp32");
  deck.choice("train.loss", train.loss, named({kernels::Loss::cross_entropy, kernels::Loss::mse}),
              "softmax cross-entropy, or mean squared error against one-hot labels");
  read_update(deck, train);
  deck.integer("evaluate.every", train.evaluate_every, IntRange::count(),
               {"steps between looks at held-out data; 0 = after every epoch", "steps"});
  deck.real("verify.least_accuracy", train.least_accuracy, {0, 1},
            "held-out accuracy below which a run of all train.epochs fails (exit 3)");
  deck.choice(
      "verify.beats", train.beats, rivals,
      "text: the compressor (gzip -9, xz -9) that needs more bits per held-out byte than the model, or a run of "
      "all train.epochs fails (exit 3)");
  return train;
}

void read_inference_options(Deck& deck, index_t tokens, TrainOptions& train) {
  train.decode = tokens / 4;
  deck.integer(
      "infer.decode", train.decode, {0, std::max<index_t>(tokens - 1, 0)},
      {"run.mode = \"infer\", gpt: last tokens of each row that go through one at a time, after the cached keys "
       "and values of those before, which go first together; 0 = all together",
       "tokens"});
}

void check(const Deck& deck, const DataOptions& data, const TrainOptions& train, const ModelOptions& model,
           index_t ranks) {
  // What files hold is not known yet: Dataset and memory_needs look again.
  const auto reject = [&](const std::optional<KeyProblem>& problem) {
    if (problem) deck.reject(problem->key, problem->found, problem->expected);
  };
  if (data.streams()) check_stream(deck, data, train);
  if (model.sync_batchnorm && train.deterministic)
    deck.reject("model.sync_batchnorm",
                "train.deterministic = true, where batch statistics are a chunk's own, whatever the ranks",
                "false, or train.deterministic = false");
  if (train.beats != Rival::nothing && (!data.is_text() || train.loss != kernels::Loss::cross_entropy))
    deck.reject("verify.beats", data.is_text() ? "train.loss is no number of bits" : "the data are no text",
                "\"nothing\"");
  reject(find_batch_problem(train, ranks, data.source == Source::synthetic ? data.samples : too_large));
  if (data.knows_shape()) reject(find_extent_problem(model, shape_of_keys(data), train.batch));
}

}  // namespace partita::training
