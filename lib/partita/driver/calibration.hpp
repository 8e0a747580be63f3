// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/environment.hpp>
#include <partita/core/types.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// What this machine can do, measured by all ranks at once, as a run would use it:
///
///   gemm_flop_per_s            fp32, 1024 squared, mean over ranks; through kernels::linear_forward
///   triad_byte_per_s           c = a + s b over 3 arrays of 32 MiB, mean over ranks
///   ping_pong_latency_s        one way, 8 bytes, ranks 0 and 1 (absent at one rank)
///   ping_pong_byte_per_s       one way, large messages
///   shift_byte_per_s           large messages, all ranks to the right at once (absent at one rank)
///   fixed_work_noise           99th percentile over median, minus 1, of the same small GEMM again and again
///   clock_read_s               one reading of the clock
///
/// Cached under $PARTITA_CACHE (else $XDG_CACHE_HOME/partita, else ~/.cache/partita), keyed by host, CPU, libraries,
/// threads and ranks; a cache that cannot be read or written is done without, a damaged one is
/// named in a warning and replaced. About a second. Collective; the result
/// counts on rank 0.
std::vector<metrics::CalibrationEntry> calibrate(const comm::Environment& env, CalibrationMode mode, const Exec& exec);

}  // namespace partita::driver
