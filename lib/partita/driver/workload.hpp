// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <partita/core/types.hpp>
#include <partita/driver/faults.hpp>
#include <partita/metrics/event_log.hpp>
#include <partita/metrics/phase_timer.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// The verdict on a run's results, the same on all ranks.
struct Verification {
  bool passed = true;
  std::string text;                     ///< what was checked, or what failed: one line
  metrics::Attributes attributes = {};  ///< what else the record shall say, from rank 0
};

/// Where a step leaves its results, in the memory of Exec. On the host the driver reads them at a flush.
struct StepOutput {
  Vector<double> losses;                   ///< (loss_terms), overwritten
  Kokkos::View<double, Memory> grad_norm;  ///< 2-norm of the whole gradient, rank 0's counts; left alone: NaN, none
};

/// What a step tells its times to.
struct Instruments {
  metrics::PhaseTimer& timer;
  metrics::EventLog& events;     ///< wants(step) first
  bool warm_up = false;          ///< the step counts in no statistic
  FaultDrill* faults = nullptr;  ///< hears of every phase that begins
};

/// Whether the run shall stop: asked by all ranks alike, in the same places. Collective, now and then.
using Stop = std::function<bool()>;

/// Held while HDF5 is used beside the record: Attendance::writing.
using Writing = std::function<std::unique_lock<std::timed_mutex>()>;

/// A published formula of the operations of a model, by which its rate is compared with others'.
struct FlopFormula {
  std::string metric;        ///< its row in /summary: "mfu_6n_12lct"
  double flop_per_step = 0;  ///< of all ranks
};

/// What an app hands to run_experiment or run_asynchronous. All functions are called by all ranks together, in the same
/// order; an asynchronous run has no use for await, step, loss and evaluate, and for what they alone need.
struct Workload {
  std::string strategy;                 ///< "data-parallel ring"
  std::string role = "trainer";         ///< of this rank: "trainer", "server", "worker", "server+worker", "engine"
  metrics::Attributes attributes = {};  ///< further ones of the record, known from the start; rank 0's count
  std::string description;  ///< head of the run's log, at most three lines: model, parameters, ranks x threads, rows a
                            ///< rank, strategy, backend
  std::vector<metrics::Phase> phases;
  index_t steps = 0;                        ///< warm-up included
  index_t first_step = 0;                   ///< a run that goes on from another's checkpoint: steps that are done
  std::vector<double> earlier_losses = {};  ///< of these, on rank 0
  index_t samples_per_step = 0;             ///< of all ranks
  std::function<index_t(index_t step)>
      samples;                    ///< of a step that is done, where they differ; null: so many. On rank 0
  index_t tokens_per_sample = 0;  ///< of sequences; 0: samples are none
  double flop_per_step = 0;       ///< useful floating-point operations of all ranks, from kernels/cost.hpp
  std::vector<FlopFormula> flop_formulas = {};
  index_t loss_terms = 0;  ///< partial losses that a step leaves on this rank
  /// Where ranks leave norms of parts of the gradient (all ranks, or none): whether this rank's part counts, or is
  /// another's, too. Else rank 0's norm is the whole's.
  std::optional<bool> norm_part = {};
  index_t evaluate_every = 0;  ///< steps; 0: never

  /// The timeline of chosen steps. Ranks may do different things: what Event::part and Event::unit number on this rank
  /// is matched by name.
  index_t events_per_step = 0;  ///< most that a step makes on this rank
  std::vector<std::string> event_parts;
  std::vector<std::string> event_units;

  /// Ahead of each step, where input may be late (null: it never is): waits until it is there. Returns why there will
  /// be none, the same on all ranks: the run then ends early; empty where it is there, or `stop` said so, which it asks
  /// a few times a second while it waits. Its time is the step's.
  std::function<std::string(index_t step, const Stop& stop, Instruments& instruments)> await;
  /// One step. Allocates nothing, but for the first where that is warm-up.
  std::function<void(index_t step, const StepOutput& out, Instruments& instruments)> step;
  /// The loss of a step from the terms of all ranks, in rank order.
  std::function<double(std::span<const double> terms)> loss;
  /// Held-out loss, accuracy and samples (its `step` is filled in by the caller). Asks between its parts whether to
  /// stop; then what it returns does not count.
  std::function<metrics::EvaluationRow(const Stop& stop)> evaluate;
  /// What else the record shall hold, also of a run that ended early; null: nothing. Rank 0's counts.
  std::function<std::vector<metrics::Table>()> tables;
  /// What else /summary shall hold, given the results so far; null: nothing. Called on rank 0.
  std::function<std::vector<metrics::SummaryRow>(const metrics::RunResults& results)> summary;
  /// After the last step, given the results so far (losses on rank 0 only).
  std::function<Verification(const metrics::RunResults& results, std::span<const double> losses)> verify;
  /// After steps were gathered: why they cannot be gone on from, the same on all ranks; empty: they can. `rows` on rank
  /// 0; bad_rank: whose loss is not finite in the first such step, -1 where all are; null: nobody looks.
  std::function<std::string(const metrics::StepRows& rows, int bad_rank)> sound;
  /// Damages weights or the next step's input of this rank, for drills; null: there is nothing to damage.
  std::function<void(FaultKind)> corrupt;
  bool reads_numbers = false;  ///< whether this rank has an input of numbers that can be damaged
  /// What differs between ranks that hold the same, and where; empty: nothing does. null: no two ranks do.
  std::function<std::string()> replicas;
  /// After a step: saves what is needed to go on from there, given the losses of all steps so far on rank 0; null: the
  /// run leaves no checkpoints. Returns the bytes of the file on rank 0. Of an asynchronous run rank 0 alone
  /// calls it.
  std::function<index_t(index_t done, std::span<const double> losses, const Writing& writing)> checkpoint;
  index_t checkpoint_every = 0;  ///< steps; 0: only when the run ends, or is stopped
  /// After a verification that passed: what else the run leaves on disk; null: nothing. Calls `alive` now and then.
  std::function<void(const std::function<void()>& alive)> save;
};

}  // namespace partita::driver
