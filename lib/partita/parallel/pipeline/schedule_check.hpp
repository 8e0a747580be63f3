// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/nn/actions.hpp>

// What a schedule says of stages and ranks, and whether it is one: for those that come from a file. That its ranks come
// to an end is deadlock.hpp's matter.

namespace partita::parallel {

/// A step of `micro_batches` on as many ranks as there are rows: stages 0 to S-1, each on one rank, at least one on
/// each rank; forward and backward (in one piece or two) of every micro-batch on every stage once and in an order that
/// can be (nn::peak), each kind of pass of a stage in ascending order, as its buffers are used in turn.
///
/// Throws   UsageError "<name>: ..." that names the stage and what is missing, too much or out of order.
void check_schedule(const std::vector<nn::Actions>& schedule, index_t micro_batches, const std::string& name);

/// The rank of each stage of a schedule that check_schedule lets pass.
std::vector<int> ranks_of_stages(const std::vector<nn::Actions>& schedule);

/// The stages of a rank, ascending.
std::vector<int> stages_of_rank(const std::vector<nn::Actions>& schedule, int rank);

}  // namespace partita::parallel
