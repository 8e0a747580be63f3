// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <span>
#include <string>

#include <partita/io/hdf5_file.hpp>
#include <partita/io/output.hpp>
#include <partita/metrics/record.hpp>

namespace partita::io {

/// The HDF5 file of one run, written by one process while the run goes on. What is in it: record_layout.hpp.
///
/// Names, for output path `x.h5`:
///   x.h5.part   the run goes on, or was killed. It appears complete with its structure (under `x.h5.tmp` first, then
///               renamed) and opens at any moment from then on; its first `/steps_written` rows are valid, later ones
///               NaN and 0 (of /events its first `events_written`, later ones have rank -1).
///   x.h5        the run ended in an orderly way: done (complete = 1), or stopped by a signal or its time limit
///               (complete = 0, exit_reason says why). Its step axis ends at the last step written.
/// A new run replaces records of these names; `x.h5` is replaced at the very end, by a rename, so that it is never half
/// a file. A complete `x.h5` is not replaced by a run that ended early: that one stays `x.h5.part`.
///
/// Throws   UsageError from the constructor for a name that Output refuses; later (disk full) Error naming the file:
///          what was written before stays readable in `.part`.
class RecordFile {
 public:
  /// Creates parent folders and `.part` with room for header.steps steps, header.evaluations evaluations and
  /// header.events.capacity events, and flushes it.
  RecordFile(Output output, const metrics::RunHeader& header);
  RecordFile(const std::string& path, const metrics::RunHeader& header);
  /// Without finish(), `.part` stays.
  ~RecordFile();
  RecordFile(RecordFile&&) noexcept;
  RecordFile& operator=(RecordFile&&) = delete;

  const std::string& path() const { return output_.path(); }
  std::string part_path() const { return output_.part(); }
  index_t steps_written() const { return steps_written_; }

  /// Appends rows: rows.first_step must be steps_written(). They are with the operating system when this returns.
  void write_steps(const metrics::StepRows& rows);

  /// Replaces the gradient norms of the first steps, which are written: where they become known late.
  void write_grad_norms(std::span<const double> norms);

  /// Appends events, at most as many in all as header.events.capacity; `dropped`: those of the whole run so far that
  /// found no room on their rank. They are with the operating system when this returns.
  void write_events(std::span<const metrics::EventRow> rows, index_t dropped);

  /// Puts one more evaluation into `.part`; those beyond header.evaluations are left to finish().
  void write_evaluation(const metrics::EvaluationRow& row);

  /// Says in `.part` why the run ended that cannot go on to finish(): exit_reason. Done at once, in this thread.
  void mark(const std::string& exit_reason);

  /// Writes `x.h5` afresh from header, results and the steps and events written, brings it to disk, and removes
  /// `.part`. Returns where
  /// the record is: `x.h5`, or `x.h5.part` where an incomplete one would replace a complete one.
  std::string finish(const metrics::RunResults& results, bool complete, const std::string& exit_reason);

 private:
  Output output_;
  metrics::RunHeader header_;
  std::unique_ptr<File> part_;
  index_t steps_written_ = 0;
  index_t evaluations_written_ = 0;
  index_t events_written_ = 0;
  index_t events_dropped_ = 0;
};

/// A record without steps, at once.
void write_record(const std::string& path, const metrics::RunHeader& header, const metrics::RunResults& results);

}  // namespace partita::io
