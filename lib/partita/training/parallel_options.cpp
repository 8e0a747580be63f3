// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/parallel_options.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::training {

namespace {

// What every exchange of gradients has.
void read_exchange(config::Deck& deck, parallel::DataParallelOptions& options) {
  using comm::Allreduce;
  constexpr double mib = 1024.0 * 1024.0;
  const Named<Allreduce> algorithms[] = {{"mpi", Allreduce::mpi},
                                         {"ring", Allreduce::ring},
                                         {"recursive", Allreduce::recursive},
                                         {"automatic", Allreduce::automatic}};
  deck.choice("parallel.allreduce", options.how, algorithms,
              "whose collectives: MPI's own, or Partita's: ring, recursive halving and doubling, or (automatic) the "
              "latter for short vectors alone; strategies without an all-reduce have one of ours for each need");
  double bucket_mib = 0;
  deck.real("parallel.bucket_mib", bucket_mib, {0, 1 << 20},
            {"gradients that are exchanged at once, while backward goes on; 0 = all at the end (zero2, zero3: unit by "
             "unit, meanwhile)",
             "MiB"});
  options.bucket_bytes = static_cast<index_t>(std::ceil(bucket_mib * mib));
  deck.choice("parallel.progress", options.progress, parallel::progress_modes,
              "how messages that travel during backward are helped on: not at all, or by a test after every unit");
  deck.boolean("parallel.separate_wait", options.separate_wait,
               "a barrier ahead of an exchange at the end, so that waiting is not timed as transfer");
}

}  // namespace

parallel::DataParallelOptions read_allreduce_options(config::Deck& deck) {
  parallel::DataParallelOptions options;
  read_exchange(deck, options);
  return options;
}

parallel::DataParallelOptions read_parallel_options(config::Deck& deck) {
  parallel::DataParallelOptions options;
  deck.choice("parallel.strategy", options.strategy, parallel::strategies,
              "what a rank keeps and what travels: whole replicas and an all-reduce; a central rank that updates; "
              "shards of the optimizer's state (zero1), of gradients, too (zero2), of weights, too (zero3); replicas "
              "that go their own way for some steps");
  read_exchange(deck, options);
  deck.integer("parallel.local_steps", options.local_steps, {1, index_t{1} << 40},
               {"local_sgd: from one average of the weights to the next", "steps"});
  deck.boolean("parallel.average_state", options.average_state, "local_sgd: averages the optimizer's state, too");
  deck.choice(
      "parallel.mean_norm", options.mean_norm, parallel::mean_norms,
      "local_sgd: at which steps the ranks' gradients are all-reduced for the norm of their mean: where weights "
      "are averaged, at none or at all; the norm of other steps is NaN");
  const bool local = options.strategy == parallel::Strategy::local_sgd;
  if (!local && options.local_steps > 1)
    deck.reject("parallel.local_steps", "it belongs to parallel.strategy = \"local_sgd\"", "1");
  if (!local && options.average_state)
    deck.reject("parallel.average_state", "it belongs to parallel.strategy = \"local_sgd\"", "false");
  if (!local && options.mean_norm != parallel::MeanNorm::average)
    deck.reject("parallel.mean_norm", "it belongs to parallel.strategy = \"local_sgd\"", "average");
  const bool whole = local || options.strategy == parallel::Strategy::gather_broadcast;
  if (whole && options.bucket_bytes > 0)
    deck.reject("parallel.bucket_mib", "this strategy has no buckets", "0, or another parallel.strategy");
  return options;
}

void check(const parallel::DataParallelOptions& options, const TrainOptions& train, index_t steps_per_epoch,
           index_t ranks) {
  if (train.mode == Mode::infer && train.deterministic && !options.whole_weights())
    if (const index_t chunks = std::min(train.chunks, train.batch); chunks % ranks != 0)
      refuse<UsageError>(
          "train.deterministic_chunks",
          fmt::format("{} chunks over {} ranks that gather weights together in inference", chunks, ranks),
          "a multiple of the ranks");
  if (options.strategy != parallel::Strategy::local_sgd || train.mode == Mode::infer) return;
  const index_t H = options.local_steps, steps = train.total_steps(steps_per_epoch);
  const index_t every = train.evaluate_every > 0 ? train.evaluate_every : steps_per_epoch;
  if (steps % H != 0)
    refuse<UsageError>("parallel.local_steps", fmt::format("{} local steps, {} steps in all", H, steps),
                       "a divisor of train.steps, so that a run ends with one set of weights");
  if (every > 0 && every < steps && every % H != 0)
    refuse<UsageError>("parallel.local_steps", fmt::format("{} local steps, held-out data every {} steps", H, every),
                       "a divisor of evaluate.every, so that there is one set of weights to look at");
}

}  // namespace partita::training
