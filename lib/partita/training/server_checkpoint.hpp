// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <partita/driver/asynchronous.hpp>
#include <partita/parallel/server/mpi/server_rank.hpp>
#include <partita/training/checkpoint.hpp>
#include <partita/training/server_parts.hpp>

namespace partita::training {

/// Checkpoints of a parameter server whose servers are ranks. After the update that one is due each server tells rank 0
/// what it keeps and goes on; rank 0 writes the file once it has heard of all. It is the file of any run: all-reduce
/// goes on from servers and servers from all-reduce, under bsp in deterministic mode with the same bits. Under other
/// protocols gradients that are on their way are lost, and workers go on from parallel::server::clock_after.
///
/// Memory   on rank 0 what all servers keep, on the host, until it is written.
template <class Scalar>
class ServerCheckpoints {
 public:
  using Real = nn::Sum<Scalar>;

  /// keys   Of each server. Everything referred to must outlive this.
  ServerCheckpoints(const CheckpointOptions& options, std::string deck, const ServerParts<Scalar>& parts,
                    const std::vector<Range>& keys, index_t updates)
      : options_(options), deck_(std::move(deck)), parts_(parts), keys_(keys), updates_(updates) {}

  /// Whether there is to be one after so many updates.
  bool due(index_t done) const {
    return options_.saves() && (done == updates_ || (options_.every > 0 && done % options_.every == 0));
  }

  /// Tells rank 0 what the server of this rank keeps after so many updates, just made. Fences.
  void tell(parallel::server::ServerRank<Scalar>& server, index_t done);
  /// On rank 0: the next piece of a server's state; whether all servers' states of that update are there now, and
  /// finite: else nobody could go on from them, and the checkpoint before is kept.
  bool told(int server, index_t done, std::span<const Real> piece);
  /// On rank 0, when all are there. Returns the bytes of the file.
  /// Throws   as save_checkpoint does.
  index_t write(index_t done, std::span<const double> losses);

  /// After the loop of a run that ended early: one of the last update, where all servers made it; else rank 0 says in a
  /// note that there is none. server: of this rank, or null; first: updates before the run. Collective.
  void save_stopped(driver::AfterLoop& loop, const parallel::server::ServerRank<Scalar>* server, index_t first);

 private:
  struct Told {
    nn::UpdateCounters counters;             // of the first server
    std::vector<std::vector<Real>> servers;  // their states
  };
  std::vector<nn::Kept> kept() const;
  std::vector<Real> state(const nn::Update<Scalar>& update, Range keys) const;  // kind by kind

  const CheckpointOptions& options_;
  std::string deck_;
  const ServerParts<Scalar>& parts_;
  const std::vector<Range>& keys_;
  index_t updates_, saved_ = 0;
  std::map<index_t, Told> told_;
};

/// Throws   UsageError for runs of servers that no checkpoint holds: in virtual time, where messages and clocks would
///          have to be kept, and elastic ones, whose workers have weights of their own.
void check(const CheckpointOptions& checkpoints, const ServerOptions& server);

}  // namespace partita::training
