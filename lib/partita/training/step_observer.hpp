// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <string>
#include <vector>

#include <partita/driver/workload.hpp>
#include <partita/nn/model.hpp>

namespace partita::training {

/// What a step's time is split into, and how its moments are named: from the tags of a model's units.
///
///   input   forward_<tag> ...   loss   backward_<tag> ...   recompute   send  receive  wait   exchange   update
///
/// or, of a step that goes through a model twice and never back, <first>_<tag> and <second>_<tag>;
/// without _<tag> where all units have the same; recompute (forward that backward does again) for models that do so,
/// send and receive for models of several stages alone. The time of units that communicate is communication.
class StepPhases {
 public:
  /// Phases are those of `whole`, which is the same on all ranks and has every tag of what is here: units are those.
  template <class Scalar>
  StepPhases(const nn::Model<Scalar>& whole, const nn::Model<Scalar>& here, const char* first = "forward",
             const char* second = "backward");

  const std::vector<metrics::Phase>& phases() const { return phases_; }
  /// Whether it is a whole action, which has no phase of its own: its parts have.
  static bool is_action(const nn::Moment& moment);
  /// -1: none. `second`: a forward moment is one of the second pass.
  int of(const nn::Moment& moment, bool second = false) const;
  /// What Kokkos Tools call a phase: partita::training::<name>.
  const std::string& region(int phase) const { return regions_[static_cast<std::size_t>(phase)]; }
  static constexpr int input = 0;

  /// Names of nn::Part and of units, for /events.
  static std::vector<std::string> part_names();
  const std::vector<std::string>& unit_names() const { return unit_names_; }
  /// Most moments of a step with so many pieces; gathers: weights are gathered ahead of their use.
  index_t events(index_t pieces, std::size_t stages, bool gathers) const;

 private:
  int add(const std::string& name, metrics::PhaseClass cls);

  std::vector<metrics::Phase> phases_;
  std::vector<std::string> regions_;
  std::vector<int> forward_, backward_;  // of a unit
  int recompute_ = -1;
  std::array<int, 10> rest_{};  // of a part that belongs to no unit
  std::vector<std::string> unit_names_;
  index_t moments_ = 0;  // most of a piece, of all units
};

/// Charges every moment of a step to its phase, and keeps the moments of chosen steps as events.
///
/// A phase goes on until another one begins, so that neighbours with one tag cost no reading of the clock. Around each
/// moment stands a region of Kokkos Tools with the name of its phase. A whole action is an event and nothing else.
class StepObserver final : public nn::Observer {
 public:
  StepObserver(const StepPhases& phases, driver::Instruments& instruments, index_t step, bool second = false)
      : phases_(phases),
        instruments_(instruments),
        step_(step),
        second_(second),
        keeps_(instruments.events.wants(step)) {}

  void before(const nn::Moment& moment, std::span<const Range> reads, const Exec& exec) override;
  void after(const nn::Moment& moment, std::span<const Range> wrote, const Exec& exec) override;

 private:
  static constexpr int deepest = 5;  // an action, a unit, what it gathers, and what is inside of that
  static constexpr int around = -2;  // in place of a phase: an action, the time inside is that of its parts

  const StepPhases& phases_;
  driver::Instruments& instruments_;
  index_t step_;
  bool second_, keeps_;
  int depth_ = 0, current_ = -1;
  std::array<int, deepest> open_{};
  std::array<std::int64_t, deepest> start_ns_{};
};

}  // namespace partita::training
