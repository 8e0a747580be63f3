// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/driver/faults.hpp>
#include <partita/training/workload.hpp>

// Whether the numbers of a run are of any use, looked at while it goes on; and drills that see to it that they are not.

namespace partita::training {

/// The first step whose loss or gradient is not finite, and what is known of where: "step 7: the loss of rank 1 is not
/// finite, the gradient of linear0.weight is not finite"; empty: none is, or the run skips such steps. The gradients of
/// fp16 count for nothing: its loss scale finds its way by them.
///
/// rows     What was gathered, on rank 0; bad_rank: whose loss it is, -1: not known.
/// Runs     collective over the world, which all learn the same; fences; not for a timed step.
template <class Scalar>
std::string find_unsound(const Parts<Scalar>& parts, const metrics::StepRows& rows, int bad_rank);

/// What differs between replicas, and between ranks that share image rows: weights that are held whole, and running
/// statistics (parallel::replica_difference); empty: nothing does. What ranks of a tensor axis hold alike is compared
/// at the end alone.
///
/// Runs     as above. Of sharded weights (zero3) there are no copies to compare.
template <class Scalar>
std::string find_difference(const Parts<Scalar>& parts);

/// Makes one weight of this rank NaN, or flips its lowest bit (nan, bitflip). Fences; for the time between two steps.
/// Throws   UsageError on a rank without weights.
template <class Scalar>
void damage_weights(const Parts<Scalar>& parts, driver::FaultKind kind);

}  // namespace partita::training
