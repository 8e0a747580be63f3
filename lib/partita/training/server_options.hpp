// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

#include <partita/config/deck.hpp>
#include <partita/data/worker_sampler.hpp>
#include <partita/parallel/server/key_ranges.hpp>
#include <partita/parallel/server/virtual/virtual_engine.hpp>
#include <partita/training/server_calibration.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

enum class Engine { mpi, virtual_time };
inline constexpr Named<Engine> engines[] = {{"mpi", Engine::mpi}, {"virtual", Engine::virtual_time}};

/// Where servers of the mpi engine are.
enum class Placement { alone, shared };
inline constexpr Named<Placement> placements[] = {{"alone", Placement::alone}, {"shared", Placement::shared}};

/// The keys of [server], [virtual], run.engine and evaluate.target_loss.
struct ServerOptions {
  Engine engine = Engine::mpi;
  int servers = 1;
  int workers = 1;  ///< virtual.workers, or ranks that the servers leave
  Placement placement = Placement::alone;
  parallel::server::Balance balance = parallel::server::Balance::equal;
  parallel::server::ProtocolOptions protocol;
  bool staleness_rate = false;
  double alpha = 0.1;
  double target_loss = 0;       ///< 0: none
  std::vector<double> shares;   ///< of the batch, by worker, whatever their sum; empty: even ones
  bool measure_shares = false;  ///< by the workers' speed
  data::LabelSkew skew;
  parallel::server::ComputeTimeOptions compute;
  parallel::server::SlowDownOptions slow;
  parallel::server::NetworkOptions network;
  std::vector<parallel::server::Change> changes;
  bool profile = false;                          ///< time other gradients ahead of the first step
  std::optional<ServerCalibration> calibration;  ///< virtual.compute or virtual.network = "calibrated"
  bool calibrated_network = false;

  /// "k-sync(7 of 8), 2 servers".
  std::string text() const;
};

/// Declares and reads them. ranks: of the run, which the mpi engine makes servers and workers of; 0: not known.
ServerOptions read_server_options(config::Deck& deck, const TrainOptions& train, int ranks);

}  // namespace partita::training
