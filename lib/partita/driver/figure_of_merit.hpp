// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/driver/workload.hpp>
#include <partita/metrics/record.hpp>
#include <partita/metrics/step_series.hpp>

namespace partita::driver {

/// The rows of /summary: those of the steps, those of the workload, and with counted work and traffic
///
///   tokens_per_s         samples_per_s times the tokens of a sample (absent where samples are no sequences)
///   flop_per_s           useful flop of all ranks over the median step
///   mfu                  flop_per_s over ranks x calibrated GEMM rate (absent without calibration)
///   mfu_<formula>        the same with flop by a published formula (Workload::flop_formulas)
///   <kind>_busbw         bytes sent per second of the slowest rank in that kind of collective (absent on an axis of
///                        one rank); on a mesh of several axes <axis>_<kind>_busbw, and with _<algorithm> for each but
///                        the first algorithm of a kind
std::vector<metrics::SummaryRow> summarise(const metrics::StepSeries& series, const metrics::RunHeader& header,
                                           const metrics::RunResults& results, const Workload& work);

/// The last line of a run: rate, step time with its interval, verdict, where the record is.
std::string figure_of_merit(const metrics::RunHeader& header, const metrics::RunResults& results,
                            const Verification& verdict, const std::string& path);

}  // namespace partita::driver
