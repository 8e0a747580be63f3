// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/driver/asynchronous.hpp>
#include <partita/training/checkpoint_options.hpp>
#include <partita/training/server_parts.hpp>

namespace partita::training {

/// A parameter server whose servers and workers are ranks.
struct ServerRun {
  driver::Workload work;
  driver::AsynchronousLoop loop;
};

/// A step is an update of the first server, which is rank 0. Each rank is a server, a worker or both, by
/// server.placement; all hold the model, of which a server keeps its keys and a worker is the one slot. Evaluations are
/// made after the loop, of copies of the weights that the servers kept. Everything that `parts` refers to must outlive
/// the run. Collective; allocates.
///
/// saves   Checkpoints that it leaves, and the one that it goes on from, which is loaded here; deck: the resolved one.
template <class Scalar>
ServerRun make_server_run(const ServerParts<Scalar>& parts, const CheckpointOptions& saves, const std::string& deck);

}  // namespace partita::training
