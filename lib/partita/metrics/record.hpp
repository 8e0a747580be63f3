// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/metrics/event_log.hpp>
#include <partita/metrics/phase.hpp>
#include <partita/metrics/table.hpp>

namespace partita::metrics {

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// One property of this machine, measured once: /calibration.
struct CalibrationEntry {
  std::string name = {};  ///< with its unit, as everywhere: "gemm_flop_per_s"
  double value = not_a_number;
  std::string unit = {};
  std::string long_name = {};
};

/// What is known about one rank from the start: /ranks.
struct RankInfo {
  std::string hostname = {};
  index_t node = 0;        ///< index of the node among the nodes of this run
  index_t local_rank = 0;  ///< among the ranks of its node
  std::string cores = {};  ///< cores this rank is bound to, as a list: "0-3,8"
  std::string gpu_uuid = {};
  std::string role = {};                  ///< what it does in the run: "trainer", "server", "worker", "benchmark"
  std::int64_t clock_offset_ns = 0;       ///< at the begin: to add to its instants to compare them with rank 0's
  std::int64_t clock_begin_ns = 0;        ///< when that was so, on its own clock
  std::int64_t clock_error_ns = 0;        ///< most by which that offset is wrong
  std::vector<index_t> coordinates = {};  ///< one for each of RunHeader::mesh_axes
};

/// What one kind of operation moved in the timed steps: /traffic. The vectors hold one value for each rank.
struct TrafficRow {
  std::string kind = {};       ///< of operation: "allreduce"
  std::string algorithm = {};  ///< "ring"
  std::string axis = {};       ///< mesh axis: "data"
  std::vector<std::int64_t> calls = {};
  std::vector<std::int64_t> messages = {};
  std::vector<std::int64_t> sent_bytes = {};
  std::vector<double> seconds = {};
  std::vector<double> expected_messages = {};  ///< closed form; NaN where there is none
  std::vector<double> expected_bytes = {};     ///< closed form; NaN where there is none
  double predicted_s = not_a_number;           ///< all calls together, from the calibration
};

/// One look at held-out data: /evaluation. `step` = steps done before it.
struct EvaluationRow {
  index_t step = 0;
  double loss = not_a_number;
  double accuracy = not_a_number;
  index_t samples = 0;
};

/// One number that a reader wants first: /summary. Recomputable from the rest of the record.
struct SummaryRow {
  std::string metric = {};
  double value = not_a_number;
  double ci_low = not_a_number;
  double ci_high = not_a_number;
  index_t n = 0;          ///< samples behind the value
  std::string kind = {};  ///< how it may be averaged: "cost" (arithmetically), "rate" (work over time), "ratio" (never)
  std::string scope = {};  ///< "within run" or "over runs"
  std::string unit = {};
};

/// An event and whose it is.
struct EventRow {
  index_t rank = 0;
  Event event = {};
};

/// The timeline of chosen steps: /events. Its rows are handed on while the run goes; this is what shapes it.
struct EventTable {
  index_t first_step = 0;  ///< chosen steps, both included
  index_t last_step = -1;
  index_t capacity = 0;  ///< rows reserved for all ranks; 0: the record has no /events
  std::vector<std::string> parts = {};
  std::vector<std::string> units = {};
};

/// How much of the per-rank times is kept: everything, or per step mean, min, max and which rank, with every
/// `full_every`-th step in full (for some thousand ranks and more).
enum class Detail { full, stats };

/// What is known of a run before its first step, and what shapes its record. Filled by the driver.
struct RunHeader {
  Attributes attributes = {};                           ///< of the file: app, strategy, study, run_uuid, git_sha, ...
  std::string deck_toml = {};                           ///< the resolved deck
  std::map<std::string, std::string> environment = {};  ///< host, compiler, libraries, chosen variables
  std::vector<CalibrationEntry> calibration = {};
  std::vector<std::string> mesh_axes = {};  ///< names of RankInfo::coordinates
  std::vector<RankInfo> ranks = {};         ///< its size is the number of ranks
  std::vector<Phase> phases = {};
  index_t steps = 0;  ///< training steps of this run, warm-up included; 0: the record has no /steps
  index_t first_step =
      0;  ///< number of the first of them: those before were done by the run that this one goes on from
  index_t evaluations = 0;  ///< evaluations that are planned: their rows are reserved in the .part
  EventTable events = {};
  Detail detail = Detail::full;
  index_t full_every = 100;
};

/// What is known of it after its last step; steps and events are handed on as StepRows and EventRows while they arise.
/// Vectors over ranks are empty where nothing is known. An app adds `tables` (/strategy, its own).
struct RunResults {
  Attributes attributes = {};                          ///< further ones of the file: the verdict
  std::vector<std::int64_t> peak_memory_bytes = {};    ///< of each rank
  std::vector<double> compute_s = {};                  ///< useful compute seconds of each rank: StepSeries::compute_s()
  std::vector<std::int64_t> clock_offset_end_ns = {};  ///< as RankInfo::clock_offset_ns, at the end
  std::vector<std::int64_t> clock_end_ns = {};         ///< as RankInfo::clock_begin_ns
  std::vector<std::int64_t> clock_error_end_ns = {};   ///< as RankInfo::clock_error_ns
  std::vector<TrafficRow> traffic = {};
  std::vector<EvaluationRow> evaluation = {};
  std::vector<SummaryRow> summary = {};
  std::vector<Table> tables = {};
};

/// Consecutive steps of all ranks, gathered; counted from the first one of this run. P = RunHeader::ranks.size(),
/// N = RunHeader::phases.size().
struct StepRows {
  index_t first_step = 0;
  index_t count = 0;
  std::vector<double> phase_s = {};         ///< (count, P, N) seconds; phases exclude each other
  std::vector<std::int64_t> start_ns = {};  ///< (count, P) on the rank's own clock
  std::vector<std::int64_t> end_ns = {};    ///< (count, P)
  std::vector<double> loss = {};            ///< (count) mean over the global batch
  std::vector<double> grad_norm = {};       ///< (count) of the whole gradient; NaN where the step makes none
  std::vector<std::int64_t> samples = {};   ///< (count) of all ranks
  std::vector<std::int8_t> warmup = {};     ///< (count) 1: not to be counted
  std::vector<std::int8_t> flushed = {};    ///< (count) 1: the record was flushed just before this step

  /// Throws   ShapeError naming the member whose size does not fit count, ranks and phases.
  void check(std::size_t ranks, std::size_t phases) const;
};

}  // namespace partita::metrics
