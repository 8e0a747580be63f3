// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/parallel/server/mpi/server_rank.hpp>
#include <partita/parallel/server/mpi/worker_rank.hpp>

namespace partita::parallel::server {

/// What became of all workers and servers, on rank 0.
struct RanksReport {
  std::vector<WorkerStatistics> workers;
  /// Expected bytes by what the workers say that they sent and were given.
  std::vector<ServerStatistics> servers;
  /// Share of what was handed in (gradients; rows of a sparse model) that updates had changed since its pull.
  double conflict_rate = 0;
};

/// Null: this rank is none. Collective, after the run; allocates.
template <class Scalar>
RanksReport gather_report(const comm::Communicator& comm, const ServerRank<Scalar>* server,
                          const WorkerRank<Scalar>* worker);

/// Norms of the gradients of the first updates, those that all servers have made, on rank 0.
///
/// squares  UpdateRule::squares of this rank's server, update by update, of which there are so many; a rank without a
///          server has none, of as many updates as the run has. Each cell has its sum on one server, zeros on others.
/// Runs     collective, after the run; allocates.
std::vector<double> gather_norms(const comm::Communicator& comm, const Exec& exec, std::span<const double> squares,
                                 bool is_server, index_t updates);

}  // namespace partita::parallel::server
