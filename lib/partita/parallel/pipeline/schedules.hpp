// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/named.hpp>
#include <partita/nn/actions.hpp>

// The order in which each rank of a pipeline passes its stages over the micro-batches of a step. Pure functions.

namespace partita::parallel {

/// F forward, B backward, I backward-input, W backward-weights of a micro-batch; p ranks, rank r, m micro-batches.
///
/// gpipe         all F, then all B (Huang et al. 2019)
/// one_f_one_b   min(p-1-r, m) F ahead, then F and B in turn (Narayanan et al. 2019, 2021)
/// interleaved   1F1B with several stages a rank, stage s on rank s mod p (Narayanan et al. 2021): micro-batches go
///               through a rank's stages in max(1, m div p) rounds of about equal size
/// zb_h1         1F1B with B split, W put off by r micro-batches (Qi et al. 2024, "Zero bubble pipeline parallelism")
/// zb_v          two stages a rank, r and 2p-1-r, so that the last stage is on the first rank (same source)
enum class Schedule { gpipe, one_f_one_b, interleaved, zb_h1, zb_v };

inline constexpr Named<Schedule> schedules[] = {{"gpipe", Schedule::gpipe},
                                                {"1f1b", Schedule::one_f_one_b},
                                                {"interleaved", Schedule::interleaved},
                                                {"zb-h1", Schedule::zb_h1},
                                                {"zb-v", Schedule::zb_v}};

struct PipelineShape {
  int ranks = 1;
  int stages_of_a_rank = 1;  ///< more than one: interleaved and zb_v, which has two
  index_t micro_batches = 1;

  int stages() const { return ranks * stages_of_a_rank; }
};

/// The rank that has a stage: stage mod p; of zb_v there and back.
int rank_of_stage(Schedule schedule, const PipelineShape& shape, int stage);

/// What rank `rank` does in a step.
///
/// Throws   UsageError for extents below 1, or another number of stages a rank than the schedule knows.
nn::Actions schedule_of_rank(Schedule schedule, const PipelineShape& shape, int rank);

/// That of all ranks.
std::vector<nn::Actions> make_schedule(Schedule schedule, const PipelineShape& shape);

}  // namespace partita::parallel
