// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/metrics/phase.hpp>
#include <vector>

namespace partita::parallel {

/// The parts of a training step with replicated weights, as indices of training_phases().
namespace phase {
inline constexpr int input = 0;
inline constexpr int forward = 1;
inline constexpr int loss = 2;
inline constexpr int backward = 3;
inline constexpr int wait = 4;
inline constexpr int allreduce = 5;
inline constexpr int optimizer = 6;
}  // namespace phase

inline std::vector<metrics::Phase> training_phases() {
  using metrics::PhaseClass;
  return {{"input", PhaseClass::input},      {"forward", PhaseClass::compute}, {"loss", PhaseClass::compute},
          {"backward", PhaseClass::compute}, {"wait", PhaseClass::wait},       {"allreduce", PhaseClass::communication},
          {"optimizer", PhaseClass::compute}};
}

}  // namespace partita::parallel
