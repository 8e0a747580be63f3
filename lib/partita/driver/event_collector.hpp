// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/driver/by_name.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/workload.hpp>
#include <partita/metrics/event_log.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// Keeps the events of the steps that record.events chooses on every rank, and brings them to rank 0 at a flush.
class EventCollector {
 public:
  /// What a flush brought; on rank 0.
  struct Gathered {
    std::vector<metrics::EventRow> rows;  ///< by step, then by rank, then as they were added
    index_t dropped = 0;                  ///< of all ranks, of the whole run so far
  };

  /// Takes all memory: the chosen steps times work.events_per_step. Collective.
  /// Throws   UsageError, on all ranks alike, where steps are chosen that the run does not have, that make no events,
  ///          or more than a record should hold.
  EventCollector(const comm::Communicator& world, const RunOptions& run, const Workload& work);

  metrics::EventLog& log() { return log_; }
  /// What the record reserves; parts and units of all ranks by name, on rank 0.
  const metrics::EventTable& table() const { return table_; }

  /// Whether the flush after `done` steps must not wait: the last chosen step is over.
  bool due(index_t done) const { return table_.capacity > 0 && done == table_.last_step + 1; }
  /// Whether any of the steps first_step .. first_step + count - 1 is chosen: then gather() is due. The same on all
  /// ranks.
  bool chosen(index_t first_step, index_t count) const;
  /// The events since the last call. Collective; allocates.
  Gathered gather(const comm::Communicator& world);

 private:
  metrics::EventLog log_;
  metrics::EventTable table_;
  NameUnion parts_, units_;  // rank 0
};

}  // namespace partita::driver
