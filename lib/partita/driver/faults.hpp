// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <partita/config/deck.hpp>
#include <partita/core/named.hpp>
#include <partita/metrics/phase.hpp>

// Fault drills: what happens to runs on a bad day, on purpose and at a stated place.

namespace partita::driver {

enum class FaultKind { kill, exception, hang, slow, allocation, disk_full, nan, bitflip, input };
inline constexpr Named<FaultKind> fault_kinds[] = {
    {"kill", FaultKind::kill}, {"exception", FaultKind::exception},   {"hang", FaultKind::hang},
    {"slow", FaultKind::slow}, {"allocation", FaultKind::allocation}, {"disk_full", FaultKind::disk_full},
    {"nan", FaultKind::nan},   {"bitflip", FaultKind::bitflip},       {"input", FaultKind::input}};

/// One entry [[fault]] of a deck.
///
///     kill         SIGKILL to itself
///     exception    an error as any other
///     hang         the rank does nothing any more, and its phase does not end
///     slow         from this step on each step takes `seconds` longer
///     allocation   memory runs out
///     disk_full    from here on no file of this rank can be written any more
///     nan          one of its weights becomes NaN
///     bitflip      one bit of one of its weights is another: the lowest, which no loss shows
///     input        a row of its batch is NaN, as a damaged file would have it
struct Fault {
  FaultKind kind = FaultKind::exception;
  index_t rank = 0;
  index_t step = 0;
  std::string phase = {};  ///< when that begins for the first time from the step on; empty: ahead of the step
  double seconds = 1;      ///< slow

  /// "kill of rank 1 in step 5, exchange".
  std::string text() const;
};

/// Declares and reads [[fault]] tables: fault.1.kind and so on.
std::vector<Fault> read_faults(config::Deck& deck);

/// Makes the faults of one rank happen. Without any it costs a comparison.
class FaultDrill {
 public:
  /// reads    by rank, whether it reads numbers that can be damaged (input).
  /// corrupt  makes faults of data and weights (nan, bitflip, input); null: there are none to damage.
  /// Throws   UsageError, the same on all ranks, for a rank, step or phase that there is not, or a kind that the run or
  ///          the rank cannot do.
  FaultDrill(std::span<const Fault> all, int rank, index_t steps, std::span<const metrics::Phase> phases,
             std::span<const std::int8_t> reads, std::function<void(FaultKind)> corrupt);

  /// May be called several times in a step.
  void begin_step(index_t step) {
    if (!mine_.empty()) meet(step, "");
  }
  /// A phase begins.
  void enter(index_t step, int phase) {
    if (!mine_.empty()) meet(step, phases_[static_cast<std::size_t>(phase)].name);
  }

 private:
  void meet(index_t step, const std::string& phase);
  void happen(const Fault& fault) const;

  std::span<const metrics::Phase> phases_;
  std::function<void(FaultKind)> corrupt_;
  struct Mine {
    Fault fault;
    index_t met_in = -1;  // the last step that it happened in
  };
  std::vector<Mine> mine_;  // still to come; a slow one stays
};

}  // namespace partita::driver
