// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/session.hpp>

namespace partita::comm_bench {

enum class Operation { all, ping_pong, allreduce };
enum class Algorithm { both, mpi, ring };

/// The keys of comm_bench.
struct Config {
  driver::RunOptions run;
  Operation operation = Operation::all;
  Algorithm algorithm = Algorithm::both;
  index_t min_bytes = 8;
  index_t max_bytes = index_t{64} * 1024 * 1024;
  index_t size_factor = 2;
  index_t repeats = 50;
  index_t warmup = 5;
  index_t seed = 1;
  comm::RingOptions ring;
  double least_speed = 0;

  /// min, min x factor, ... up to max, which is always one of them.
  std::vector<index_t> sizes() const;
  std::vector<comm::Allreduce> algorithms() const;
};

/// Throws   UsageError.
Config read_config(driver::Session& session);

}  // namespace partita::comm_bench
