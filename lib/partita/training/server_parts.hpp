// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <partita/driver/workload.hpp>
#include <partita/nn/loss_head.hpp>
#include <partita/nn/model.hpp>
#include <partita/parallel/server/key_ranges.hpp>
#include <partita/parallel/server/statistics.hpp>
#include <partita/parallel/server/update_rule.hpp>
#include <partita/training/dataset.hpp>
#include <partita/training/model_learner.hpp>
#include <partita/training/server_options.hpp>

// What runs of a parameter server share, whatever their engine.

namespace partita::training {

/// What an app plugs together where servers update.
template <class Scalar>
struct ServerParts {
  const TrainOptions& train;
  const ServerOptions& server;
  const ModelOptions& model_options;
  const Dataset& data;
  nn::Model<Scalar>& model;  ///< the weights of the servers, and the one slot of all workers
  kernels::Context& context;
  const comm::Communicator& world;
  const nn::LossHead<Scalar>& head;
};

/// Updates that a run has, and samples of one where all are there.
index_t updates_of(const TrainOptions& train, const ServerOptions& server, index_t samples_per_epoch_batch);
index_t samples_of_update(const TrainOptions& train, const ServerOptions& server);
/// Updates from one evaluation to the next: evaluate.every, or an epoch's samples.
index_t evaluate_every(const TrainOptions& train, const ServerOptions& server, index_t steps_per_epoch);

/// What workers have of the data where they share it so (shares of any sum); no shares: evenly.
WorkersData workers_data(const TrainOptions& train, const ServerOptions& server, std::span<const double> shares);

/// When the held-out loss came down to evaluate.target_loss: rows of /summary, NaN where it did not. time_s and samples
/// are of each step from the first of this run on.
std::vector<metrics::SummaryRow> time_to_target(const ServerOptions& server, index_t first_step,
                                                std::span<const metrics::EvaluationRow> evaluation,
                                                std::span<const double> time_s, std::span<const index_t> samples,
                                                const char* time_metric);

/// The learning rate of the update, or of a worker's local step, that follows so many others.
std::function<double(index_t)> rate_of(const TrainOptions& train, index_t updates);

/// What a server makes of the gradients of its keys, whose weights these are.
template <class Scalar>
std::unique_ptr<parallel::server::UpdateRule<Scalar>> make_rule(const ServerParts<Scalar>& parts,
                                                                const std::function<double(index_t)>& rate, Range keys,
                                                                Vector<Scalar> weights);

/// The group /strategy: what is known of workers and servers, and beside it what they were given of the batch and of
/// the load.
template <class Scalar>
metrics::Table strategy_of(const ModelLearner<Scalar>& learner, const parallel::server::KeyLoads& loads,
                           std::vector<parallel::server::WorkerStatistics> workers,
                           std::vector<parallel::server::ServerStatistics> servers, bool is_virtual);

/// Attributes, names, and what a step is: an update. workers: in words, "8 virtual workers".
template <class Scalar>
driver::Workload describe_servers(const ServerParts<Scalar>& parts, const std::string& workers);

/// Losses of a protocol in which workers wait for all are held to what is asked of training, others may diverge.
template <class Scalar>
driver::Verification judge_servers(const ServerParts<Scalar>& parts, const metrics::RunResults& results,
                                   std::span<const double> losses);
/// Of the model's weights, as every app's record has it.
template <class Scalar>
std::string weights_hash(const ServerParts<Scalar>& parts);

}  // namespace partita::training
