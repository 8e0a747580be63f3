// SPDX-License-Identifier: BSD-3-Clause
// Schedules of pipelines: byte 0 says how many micro-batches, the rest is a file *.csv.
#include <vector>

#include <partita/parallel/pipeline/deadlock.hpp>
#include <partita/parallel/pipeline/schedule_check.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>

#include "support.hpp"

namespace partita::fuzz {

void schedule(Bytes input) {
  const index_t micro_batches = 1 + take(input) % 8;
  accepted("", [&] {
    const std::vector<nn::Actions> actions = parallel::read_csv(text_of(input), "x.csv");
    parallel::check_schedule(actions, micro_batches, "x.csv");
    if (parallel::ranks_of_stages(actions).size() < actions.size()) report("a rank without a stage");
    parallel::require_no_deadlock(actions);
    if (parallel::draw(actions).empty()) report("nothing to draw");
    const std::string csv = parallel::to_csv(actions);
    if (parallel::to_csv(parallel::read_csv(csv, "x.csv")) != csv) report("a file that reads differently", csv);
  });
}

}  // namespace partita::fuzz
