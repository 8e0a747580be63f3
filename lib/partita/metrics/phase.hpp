// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace partita::metrics {

/// What the time of a phase counts as: only `compute` is useful work in the efficiencies of efficiency.hpp.
enum class PhaseClass { compute, communication, wait, input, other };

/// One named part of a step. The index of a phase in its list is what a PhaseTimer and the axis `phase` of a record
/// use.
struct Phase {
  std::string name = {};
  PhaseClass cls = PhaseClass::other;
};

/// "compute", "communication", "wait", "input", "other".
const char* to_string(PhaseClass cls);

}  // namespace partita::metrics
