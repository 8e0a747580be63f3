// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <partita/comm/collectives/schedule.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/session.hpp>

namespace partita::comm_bench {

/// The keys of comm_bench.
struct Config {
  driver::RunOptions run;
  std::vector<std::string> operations;  ///< words of operations.hpp, "ping_pong"; empty: all
  std::vector<std::string> algorithms;  ///< "mpi", "ring", ...; empty: all
  index_t min_bytes = 8;
  index_t max_bytes = index_t{64} * 1024 * 1024;
  index_t size_factor = 2;
  index_t repeats = 50;
  index_t warmup = 5;
  index_t seed = 1;
  bool overlap = true;
  index_t slices = 10;
  double compute_us = 0;  ///< 0: as long as the communication
  comm::RingOptions ring;
  double least_speed = 0;

  /// min, min x factor, ... up to max, which is always one of them.
  std::vector<index_t> sizes() const;
  bool wants(std::string_view operation) const;
  bool wants_algorithm(std::string_view algorithm) const;
};

/// Throws   UsageError.
Config read_config(driver::Session& session);

}  // namespace partita::comm_bench
