// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <partita/config/command_line.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/pipeline/balance.hpp>
#include <partita/parallel/pipeline/pipeline.hpp>
#include <partita/parallel/pipeline/schedules.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// The keys of a mesh of replicas of a model that is cut into stages.
struct PipelineMesh {
  int replicas = 1;        ///< that share the rows of a batch
  int ranks = 1;           ///< that have the stages of one of them
  int virtual_stages = 1;  ///< of a rank
  parallel::Schedule schedule = parallel::Schedule::one_f_one_b;
  std::string file;  ///< a schedule as CSV, in place of `schedule`
  parallel::Balance balance = parallel::Balance::cost;
  std::vector<index_t> stages;  ///< layers of each, in place of `balance`
  bool step_barrier = true;
  int spatial = 1;           ///< ranks that share the rows of each image; all of them have the same stages
  bool overlap_halo = true;  ///< halos travel while rows are computed that need none

  int stage_count() const { return ranks * virtual_stages; }
  /// "pipeline 2/1f1b", "data 2 x pipeline 2/interleaved, 2 stages a rank", "data 2/mpi x spatial 2".
  std::string text(const parallel::DataParallelOptions& gradients) const;
};

/// Declares and reads them. `ranks` are all used; 0: nobody knows how many there will be.
PipelineMesh read_pipeline_mesh(config::Deck& deck, int ranks);

/// What depends on other keys, too. A key that does not fit is refused, as in reading.
void check(const config::Deck& deck, const PipelineMesh& mesh, const TrainOptions& train, const ModelOptions& model,
           const DataOptions& data);

/// Who does what in a step of m micro-batches, made or read from the file, and checked: every pass once, nobody waits
/// forever. `layers` of the plan are left open. Collective: one rank reads.
/// Throws   UsageError for a schedule that cannot run, or is one of other ranks or micro-batches.
parallel::PipelinePlan plan_schedule(const comm::Communicator& world, const PipelineMesh& mesh, index_t micro_batches);

/// The options of an app that shows what it would do: "--show-schedule", "--schedule-csv FILE".
struct ScheduleFlags {
  std::optional<std::string> show, csv;

  /// They refer to this object.
  std::vector<config::Option> options();
  bool asked() const { return show || csv; }
  /// Draws the schedule, writes it: true when that was asked for and nothing more is to do. Collective.
  /// Throws   Error where the file cannot be written.
  bool answer(const comm::Communicator& world, const parallel::PipelinePlan& plan) const;
};

}  // namespace partita::training
