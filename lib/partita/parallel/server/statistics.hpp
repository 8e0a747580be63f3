// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/metrics/record.hpp>

namespace partita::parallel::server {

/// Numbers of which quantiles are wanted.
class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  void add(std::span<const double> values) { values_.insert(values_.end(), values.begin(), values.end()); }
  std::span<const double> values() const { return values_; }
  /// The smallest that a share q of them does not exceed (nearest rank); NaN for none.
  double quantile(double q) const;
  double max() const { return quantile(1); }
  double mean() const;

 private:
  std::vector<double> values_;
};

/// What became of one worker. Times are of its engine's clock.
struct WorkerStatistics {
  index_t rows = 0;                           ///< of a global batch
  std::vector<index_t> staleness_count = {};  ///< gradients by the updates between their weights and their own
  index_t pushes = 0;
  index_t dropped = 0;    ///< of these
  index_t cancelled = 0;  ///< gradients that were begun and stopped
  double compute_s = 0, wait_s = 0, present_s = 0;
  Samples pull_s = {}, push_s = {};  ///< from the question to the answer; from sending to being taken in

  void stale(index_t staleness);
};

/// What became of one server.
struct ServerStatistics {
  index_t updates = 0;
  Range keys = {};
  double load_share = 0;                       ///< as counted ahead of the first step (KeyLoads)
  index_t received_bytes = 0, sent_bytes = 0;  ///< gradients, and rows that pulls ask for; weights
  double expected_received_bytes = 0, expected_sent_bytes = 0;
  Samples queue_depth = {}, service_s = {};  ///< of a message
  double skew_sum = 0;                       ///< updates behind the server that is furthest, when a worker computes
  index_t skew_max = 0, skew_count = 0;
};

/// The group /strategy of a record: a worker or a server each. `is_virtual`: times are virtual, and their columns are
/// called so.
metrics::Table strategy_table(std::span<const WorkerStatistics> workers, std::span<const ServerStatistics> servers,
                              bool is_virtual);

/// staleness_mean, staleness_max, dropped_share, utilisation.
std::vector<metrics::SummaryRow> summarise(std::span<const WorkerStatistics> workers);

/// A row of /summary.
metrics::SummaryRow summary_row(std::string metric, double value, index_t n, std::string kind, std::string unit);

}  // namespace partita::parallel::server
