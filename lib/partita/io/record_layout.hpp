// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/metrics/record.hpp>

namespace partita::io {

// What a record looks like as tables: pure, no file. The writer turns each table into a group.

/// Everything but /steps and /events: the root with the scales of step, rank and phase, /config, /environment,
/// /calibration, /ranks, /traffic, /evaluation, /summary and the app's own. `steps`: extent of the axis step. Throws
/// ShapeError where a vector of `header` or `results` does not hold one value for each rank.
std::vector<metrics::Table> record_tables(const metrics::RunHeader& header, const metrics::RunResults& results,
                                          index_t steps);

/// /evaluation alone; without rows, `reserved` rows with step -1.
metrics::Table evaluation_table(const std::vector<metrics::EvaluationRow>& rows, index_t reserved);

/// Bytes that a step takes in a record, all its columns together.
double step_bytes(const metrics::RunHeader& header);

/// /steps, its columns reserved for `steps` steps.
metrics::Table steps_table(const metrics::RunHeader& header, index_t steps);

/// /events, with room for `rows` events: rank -1 in each says that it is not there yet.
metrics::Table events_table(const metrics::RunHeader& header, index_t rows);

/// A part of one column of /steps or /events.
struct Slab {
  std::string column;
  index_t first_row;
  metrics::ColumnData data;
};

/// What rows contribute to each column of /steps; with Detail::stats they are reduced over the ranks here.
std::vector<Slab> step_slabs(const metrics::RunHeader& header, const metrics::StepRows& rows);

/// The same for /events: rows first_row, first_row + 1, ...
std::vector<Slab> event_slabs(index_t first_row, std::span<const metrics::EventRow> rows);

}  // namespace partita::io
