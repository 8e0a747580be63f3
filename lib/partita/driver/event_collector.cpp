// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/event_collector.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

namespace partita::driver {
namespace {

constexpr index_t most_rows = index_t{1} << 24;  // 1.6 GB of record

// A rank's own number of a name -> that of all; what is no number of a name (-1: does not apply) stays.
template <class Int>
void renumber(const std::vector<index_t>& place, Int& number) {
  if (number >= 0 && static_cast<std::size_t>(number) < place.size())
    number = static_cast<Int>(place[static_cast<std::size_t>(number)]);
}

}  // namespace

EventCollector::EventCollector(const comm::Communicator& world, const RunOptions& run, const Workload& work) {
  const index_t first = run.first_event_step, last = run.last_event_step;
  if (last < first) return;
  if (last >= work.steps)
    refuse<UsageError>("record.events", fmt::format("step {} of a run of {} steps", last, work.steps),
                       fmt::format("steps from 0 to {}", work.steps - 1));
  const index_t of_a_step = world.allreduce(work.events_per_step, comm::Op::sum);
  if (of_a_step == 0) refuse<UsageError>("record.events", "the steps of this run make no events", "[] for none");
  const index_t steps = last - first + 1;
  if (steps > most_rows / of_a_step)
    refuse<UsageError>("record.events", fmt::format("{} steps of {} events of all ranks", steps, of_a_step),
                       fmt::format("at most {} events in a record: fewer steps", most_rows));
  parts_ = gather_names(world, work.event_parts);
  units_ = gather_names(world, work.event_units);
  table_ = {.first_step = first,
            .last_step = last,
            .capacity = steps * of_a_step,
            .parts = parts_.names,
            .units = units_.names};
  log_ = metrics::EventLog(first, last, steps * work.events_per_step);
}

bool EventCollector::chosen(index_t first_step, index_t count) const {
  return table_.capacity > 0 && first_step <= table_.last_step && table_.first_step < first_step + count;
}

EventCollector::Gathered EventCollector::gather(const comm::Communicator& world) {
  const std::vector<metrics::Event> mine = log_.drain();
  const std::vector<index_t> counts = world.gather(static_cast<index_t>(mine.size()));
  const std::vector<metrics::Event> all = world.gather(std::span<const metrics::Event>(mine));
  const std::vector<index_t> dropped = world.gather(log_.dropped());

  Gathered gathered;
  gathered.rows.reserve(all.size());
  auto next = all.begin();
  for (std::size_t r = 0; r < counts.size(); ++r) {
    for (index_t k = 0; k < counts[r]; ++k, ++next) {
      metrics::EventRow& row = gathered.rows.emplace_back();
      row.rank = static_cast<index_t>(r);
      row.event = *next;
      renumber(parts_.place[r], row.event.part);
      renumber(units_.place[r], row.event.unit);
    }
  }
  std::stable_sort(gathered.rows.begin(), gathered.rows.end(),
                   [](const auto& a, const auto& b) { return a.event.step < b.event.step; });
  for (const index_t n : dropped) gathered.dropped += n;
  return gathered;
}

}  // namespace partita::driver
