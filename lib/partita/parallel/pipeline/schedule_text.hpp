// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <partita/parallel/pipeline/replay.hpp>

// Schedules as text: that of torch.distributed.pipelining, a row a rank, cells "<stage><F|B|I|W><micro-batch>"; and a
// picture for a terminal.

namespace partita::parallel {

/// "0F3".
std::string cell(const nn::Action& action);

/// Rows of cells with commas between them, empty where a rank stands idle when every pass takes one unit of time (a
/// fused backward two, the second of which has no cell).
std::string to_csv(const std::vector<nn::Actions>& schedule);

/// Empty cells are passed over, and so are cells that this runtime decides about itself, such as torch's REDUCE_GRAD.
///
/// Throws   UsageError "<name>:<row>: ..." for a cell that is none of these, or no row.
std::vector<nn::Actions> read_csv(std::string_view text, const std::string& name);

/// A row a rank, a column a unit of time, as to_csv's cells: micro-batch numbers behind the pass's letter, of several
/// stages a rank the stage before it.
std::string draw(const std::vector<nn::Actions>& schedule, const PassTimes& times = {});

}  // namespace partita::parallel
