// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/comm/traffic.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// What all ranks counted, as rows of /traffic: one for each (operation, algorithm, axis) that any rank has, in order
/// of first appearance by rank; zeros, closed form included, where a rank has none. Collective; the result counts on
/// rank 0, elsewhere it is empty.
///
/// predicted_s, of the busiest rank: messages x latency + bytes / bandwidth of the calibrated link (all ranks at once),
/// plus the memory traffic of local sums and copies over the calibrated triad, all by the algorithm's own steps
/// (comm/work.hpp; MPI's own all-reduce by its usual algorithm). Where an operation has no such steps: the messages and
/// bytes that were counted. NaN without calibration.
std::vector<metrics::TrafficRow> collect_traffic(const comm::Communicator& world, const comm::Traffic& traffic,
                                                 const std::vector<metrics::CalibrationEntry>& calibration);

}  // namespace partita::driver
