// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/parallel/server/virtual/network.hpp>
#include <partita/training/server_profile.hpp>

namespace partita::training {

/// What the record of one server and one worker on ranks of their own (server.profile = true) tells the virtual engine.
struct ServerCalibration {
  std::vector<double> compute_s;  ///< of each timed step, the worker
  double update_s = 0;            ///< median of timed steps
  double message_s = 0;           ///< half of what else the worker waits for its weights: a push there, a pull back
  double latency_s = 0;           ///< of a ping-pong; 0: not known
  ServerProfile profile;
  double flop_per_row = 0, rows = 0, bytes = 0;  ///< of the run's own gradients

  // Of another run: what this one took, times what the profile has for that one over what it has for this one.

  /// Mean of a worker's times for gradients with such rows.
  double mean_s(double flop, double with_rows) const;
  /// Links whose messages of so many bytes take their time, and updates by the bytes of a server's weights.
  parallel::server::NetworkOptions network(double of_bytes) const;
};

/// Throws   UsageError naming the file and what it lacks.
ServerCalibration read_server_calibration(const std::string& path);

}  // namespace partita::training
