// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <optional>

#include <partita/config/deck.hpp>
#include <partita/core/extent.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/nn/division.hpp>
#include <partita/nn/learning_rate.hpp>
#include <partita/nn/model.hpp>
#include <partita/nn/update.hpp>
#include <partita/training/data_options.hpp>
#include <partita/training/key_problem.hpp>
#include <partita/training/model_options.hpp>

namespace partita::training {

enum class Mode { train, infer };
enum class Precision { fp32, bf16, fp16 };
inline constexpr Named<Precision> precisions[] = {
    {"fp32", Precision::fp32}, {"bf16", Precision::bf16}, {"fp16", Precision::fp16}};

/// What the bits per byte of a text are held against.
enum class Rival { nothing, gzip, xz };

/// The keys that all training apps share: [train], [evaluate], [verify], run.mode and [kernels].
struct TrainOptions {
  Mode mode = Mode::train;
  std::uint64_t seed = 1;
  index_t steps = 0;   ///< the run ends after so many steps (0: no such limit) ...
  index_t epochs = 0;  ///< ... or so many passes over the data (0: no such limit), whichever comes first
  index_t batch = 256;
  index_t micro_batches = 1;
  bool deterministic = false;
  index_t chunks = 24;
  Precision precision = Precision::fp32;
  kernels::Loss loss = kernels::Loss::cross_entropy;
  nn::UpdateOptions update;
  nn::LearningRate schedule = nn::LearningRate::constant;
  index_t decode = 0;          ///< infer, gpt: last tokens of a row that go through one at a time
  index_t evaluate_every = 0;  ///< steps; 0: every epoch
  double least_accuracy = 0;
  Rival beats = Rival::nothing;
  kernels::Options kernels;

  index_t total_steps(index_t steps_per_epoch) const {
    if (epochs == 0) return steps;
    const index_t all = checked_product(epochs, steps_per_epoch);
    return steps == 0 ? all : std::min(steps, all);
  }
  /// How sums that a strategy may split are cut.
  nn::ModelOptions model() const { return {.seed = seed, .chunks = deterministic ? chunks : 1}; }
  /// Useful flop of so many samples in the whole model: counted, of all ranks; without what is computed again.
  template <class Model>
  double flop(const Model& whole, index_t samples) const {
    const nn::PassFlop of = whole.flop(samples);
    return mode == Mode::train ? of.total() : of.forward;
  }
  /// What `rank` of `ranks` replicas has of every batch.
  nn::Division division(index_t ranks, index_t rank) const {
    return nn::divide(batch, ranks, rank, micro_batches, deterministic ? chunks : 0);
  }
};

/// Declares and reads them.
TrainOptions read_train_options(config::Deck& deck);

/// infer.decode, of apps that split inference into prefill and decode; a quarter of model.tokens by default.
void read_inference_options(config::Deck& deck, index_t tokens, TrainOptions& train);

/// The one judge of a batch: whether it can be drawn from so many samples, and `ranks` replicas can share it.
std::optional<KeyProblem> find_batch_problem(const TrainOptions& train, index_t ranks, index_t samples);

/// What depends on several keys and on the number of replicas, as far as it is known before data are read. Throws
/// UsageError, as reading a key does.
void check(const config::Deck& deck, const DataOptions& data, const TrainOptions& train, const ModelOptions& model,
           index_t ranks);

/// Calls f.template operator()<Scalar>() with the type that weights are stored in.
template <class F>
auto with_precision(Precision precision, const F& f) {
  switch (precision) {
    case Precision::bf16:
      return f.template operator()<bfloat16>();
    case Precision::fp16:
      return f.template operator()<float16>();
    default:
      return f.template operator()<float>();
  }
}

}  // namespace partita::training
