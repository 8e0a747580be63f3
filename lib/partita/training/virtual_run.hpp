// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/driver/workload.hpp>
#include <partita/nn/loss_head.hpp>
#include <partita/nn/model.hpp>
#include <partita/training/dataset.hpp>
#include <partita/training/model_learner.hpp>
#include <partita/training/server_options.hpp>

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

/// The driver's loop over a parameter server in virtual time: a step is an update of the first server, in seconds of
/// this machine; when it was in virtual time is in the record's /virtual. All that `parts` refers to must outlive the
/// workload. Allocates.
template <class Scalar>
driver::Workload make_virtual_workload(const ServerParts<Scalar>& parts);

/// Updates that a run has, and samples of one where all are there.
index_t updates_of(const TrainOptions& train, const ServerOptions& server, index_t samples_per_epoch_batch);
index_t samples_of_update(const TrainOptions& train, const ServerOptions& server);
/// Updates from one evaluation to the next: evaluate.every, or an epoch's samples.
index_t evaluate_every(const TrainOptions& train, const ServerOptions& server, index_t steps_per_epoch);

/// What workers have of the data where they share it so; no shares: evenly.
WorkersData workers_data(const TrainOptions& train, const ServerOptions& server, std::span<const double> shares);

/// When the held-out loss came down to evaluate.target_loss: rows of /summary, NaN where it did not. time_s and samples
/// are of each step.
std::vector<metrics::SummaryRow> time_to_target(const ServerOptions& server,
                                                std::span<const metrics::EvaluationRow> evaluation,
                                                std::span<const double> time_s, std::span<const index_t> samples,
                                                const char* time_metric);

}  // namespace partita::training
