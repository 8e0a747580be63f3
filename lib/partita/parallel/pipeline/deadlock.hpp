// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/parallel/pipeline/in_order.hpp>

namespace partita::parallel {

/// Whether ranks come to the end of a step when messages are rendezvous and buffers are few (StageBuffers), as the
/// runtime runs it; a stage belongs to the rank in whose row it is. Beside its data (data_needs) an action waits for
/// messages between ranks; those between stages of one rank are none.
///
/// A send is complete when its receive is posted. The receive of x for micro-batch j is posted at the step's begin if
/// j < X, else when the stage has released j - X (its backward or backward-weights is done; its forward where no
/// backward is in the schedule); that of dy with G in the place of X. Forward of j first waits until the send of y for
/// j - K is complete, backward and backward-input until that of dx for j - D.
/// `more`, if any, says what else an action waits for.
///
/// Throws   UsageError that names, for each rank that is stuck, the action before which it stands, what it waits for,
///          and whose move that is; and as nn::peak does.
void require_no_deadlock(const std::vector<nn::Actions>& schedule, const Needs& more = {});

/// The same without a word: who is stuck where, and when each rank ends if every pass takes one unit of time.
InOrder run_with_buffers(const std::vector<nn::Actions>& schedule, const Needs& more = {});

}  // namespace partita::parallel
