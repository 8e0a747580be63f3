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
/// predicted_s = messages x latency + bytes / bandwidth of the busiest rank, by the calibrated link between ranks 0 and
/// 1. For MPI's own all-reduce, of which only the payload n is known: 2 ceil(log2 P) messages and 2 (P-1)/P n bytes a
/// call (Rabenseifner 2004). NaN without calibration.
std::vector<metrics::TrafficRow> collect_traffic(const comm::Communicator& world, const comm::Traffic& traffic,
                                                 const std::vector<metrics::CalibrationEntry>& calibration);

}  // namespace partita::driver
