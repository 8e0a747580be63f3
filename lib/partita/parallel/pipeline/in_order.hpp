// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <partita/nn/actions.hpp>

// Ranks that do their actions in order: the one loop behind replay and require_no_deadlock, which differ in what an
// action waits for.

namespace partita::parallel {

/// Of each action of each rank, in any unit of time.
using ActionTimes = std::vector<std::vector<double>>;

/// What a pass of a stage over a micro-batch brings about, at its end.
struct Event {
  enum class Kind {
    output,          ///< by forward
    input_gradient,  ///< by backward, backward-input
    released         ///< by backward, backward-weights: nothing is kept of the micro-batch any more
  };
  Kind kind = Kind::output;
  int stage = 0;
  index_t micro_batch = 0;

  friend bool operator==(const Event&, const Event&) = default;
};

/// "the output of stage 0 for micro-batch 1".
std::string text(const Event& event);

/// Appends what an action waits for.
using Needs = std::function<void(const nn::Action&, std::vector<Event>&)>;

/// An action before which a rank stands forever, and the first thing that is not there.
struct Stuck {
  int rank = 0;
  nn::Action action;
  Event event;
};

struct InOrder {
  std::vector<std::vector<double>> start;  ///< of each action of each rank that begins at all
  std::vector<double> end;                 ///< of each rank's last one
  std::vector<Stuck> stuck;                ///< in the order of ranks; empty if all is done
};

/// Each rank does its actions one after the other from begin[rank] on, each as soon as all that it needs is there.
InOrder run_in_order(const std::vector<nn::Actions>& schedule, const ActionTimes& times, const Needs& needs,
                     std::vector<double> begin);

/// What the data ask for: forward of stage s needs forward of s-1, backward and backward-input need forward of s and
/// the input's gradient of s+1, backward-weights its backward-input.
Needs data_needs(const std::vector<nn::Actions>& schedule);

}  // namespace partita::parallel
