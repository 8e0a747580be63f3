// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/comm/environment.hpp>
#include <partita/comm/mesh.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// More threads than cores, and what to tell the user; both the same on all ranks.
struct Placement {
  bool oversubscribed = false;
  std::string message;
};

/// Compares, node by node, the threads of its ranks with the distinct cores in the union of their masks. Collective.
Placement examine_placement(const comm::Communicator& world);

/// Fills what is known before the first step: attributes, deck, environment, ranks (`role`: what this one does).
/// Collective; the result counts on rank 0.
void describe_run(const comm::Environment& env, const comm::Mesh& mesh, const RunOptions& run,
                  const Placement& placement, const std::string& role, metrics::RunHeader& header);

/// Peak memory, compute seconds and the clock of every rank, known at the end. Collective.
void describe_end(const comm::Communicator& world, const metrics::RunHeader& header,
                  const std::vector<double>& compute_s, metrics::RunResults& results);

}  // namespace partita::driver
