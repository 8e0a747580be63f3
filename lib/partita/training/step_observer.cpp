// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/step_observer.hpp>

#include <algorithm>
#include <set>

#include <partita/core/clock.hpp>

namespace partita::training {
namespace {

using metrics::PhaseClass;
using nn::Part;

// On a device a moment's work may still be running.
std::int64_t instant(const Exec& exec) {
  if constexpr (!std::is_same_v<Exec, HostExec>) {
    static const std::string label = "partita::training::StepObserver: the clock of an event";  // made once
    exec.fence(label);
  }
  return now_ns();
}

}  // namespace

template <class Scalar>
StepPhases::StepPhases(const nn::Model<Scalar>& whole, const nn::Model<Scalar>& here, const char* first,
                       const char* second) {
  std::vector<std::string> tags;
  std::vector<PhaseClass> classes;
  for (const nn::Unit<Scalar>* unit : here.units()) {
    unit_names_.push_back(unit->name());
    moments_ += unit->moments();
  }
  for (const nn::Unit<Scalar>* unit : whole.units()) {
    if (std::find(tags.begin(), tags.end(), unit->tag()) != tags.end()) continue;
    tags.push_back(unit->tag());
    classes.push_back(unit->communicates() ? PhaseClass::communication : PhaseClass::compute);
  }
  const auto per_unit = [&](const std::string& pass) {
    std::vector<int> of_tag;
    for (std::size_t t = 0; t < tags.size(); ++t)
      of_tag.push_back(add(tags.size() > 1 ? pass + "_" + tags[t] : pass, classes[t]));
    std::vector<int> of_unit;
    for (const nn::Unit<Scalar>* unit : here.units())
      of_unit.push_back(
          of_tag[static_cast<std::size_t>(std::find(tags.begin(), tags.end(), unit->tag()) - tags.begin())]);
    return of_unit;
  };
  rest_.fill(-1);
  const auto rest = [&](Part part, const char* name, PhaseClass cls) {
    rest_[static_cast<std::size_t>(part)] = add(name, cls);
  };
  add("input", PhaseClass::input);
  forward_ = per_unit(first);
  rest(Part::loss, "loss", PhaseClass::compute);
  backward_ = per_unit(second);
  if (std::any_of(whole.units().begin(), whole.units().end(), [](const auto* unit) { return unit->recomputes(); }))
    recompute_ = add("recompute", PhaseClass::compute);
  if (here.stage_count() > 1) {
    rest(Part::send, "send", PhaseClass::communication);
    rest(Part::receive, "receive", PhaseClass::communication);
  }
  rest(Part::wait, "wait", PhaseClass::wait);
  rest(Part::exchange, "exchange", PhaseClass::communication);
  rest(Part::update, "update", PhaseClass::compute);
}

int StepPhases::add(const std::string& name, PhaseClass cls) {
  phases_.push_back({name, cls});
  regions_.push_back("partita::training::" + name);
  return static_cast<int>(phases_.size()) - 1;
}

bool StepPhases::is_action(const nn::Moment& moment) {
  return moment.unit < 0 && (moment.part == Part::forward || moment.part == Part::backward ||
                             moment.part == Part::backward_input || moment.part == Part::backward_weights);
}

int StepPhases::of(const nn::Moment& moment, bool second) const {
  const auto part = static_cast<std::size_t>(moment.part);
  if (moment.unit < 0) return rest_[part];
  const auto unit = static_cast<std::size_t>(moment.unit);
  if (moment.part != Part::forward || second) return backward_[unit];
  return moment.replay && recompute_ >= 0 ? recompute_ : forward_[unit];
}

std::vector<std::string> StepPhases::part_names() {
  return {"forward", "backward_input", "backward_weights", "loss",   "send",
          "receive", "wait",           "exchange",         "update", "backward"};
}

index_t StepPhases::events(index_t pieces, std::size_t stages, bool gathers) const {
  // A residual with relu is heard of three times a piece, as other units are, and more where forward is done again;
  // weights may be gathered ahead of each forward and backward_input; a stage sends and receives twice, and does at
  // most three whole actions.
  const index_t forwards = recompute_ >= 0 ? 2 : 1, units = std::ssize(unit_names_);
  const index_t of_units = forwards * moments_ + (gathers ? forwards + 1 : 0) * units;
  const index_t per_piece = of_units + 1 + 7 * static_cast<index_t>(stages);
  return pieces * per_piece + 4;  // wait, exchange, update, what others must learn of it
}

void StepObserver::before(const nn::Moment& moment, std::span<const Range>, const Exec& exec) {
  const int phase = StepPhases::is_action(moment) ? around : phases_.of(moment, second_);
  if (phase >= 0) Kokkos::Profiling::pushRegion(phases_.region(phase));
  if (phase != current_ && phase != around) {
    instruments_.timer.mark(current_ = phase, exec);
    if (instruments_.faults != nullptr && phase >= 0) instruments_.faults->enter(step_, phase);
  }
  if (depth_ < deepest) {
    open_[static_cast<std::size_t>(depth_)] = phase;
    if (keeps_) start_ns_[static_cast<std::size_t>(depth_)] = instant(exec);
  }
  ++depth_;
}

void StepObserver::after(const nn::Moment& moment, std::span<const Range>, const Exec& exec) {
  --depth_;
  if (keeps_ && depth_ < deepest)
    instruments_.events.add({.step = step_,
                             .part = static_cast<std::int16_t>(moment.part),
                             .stage = moment.stage,
                             .unit = static_cast<int>(moment.unit),
                             .micro_batch = static_cast<int>(moment.micro_batch),
                             .piece = static_cast<int>(moment.piece),
                             .peer = moment.peer,
                             .bytes = moment.bytes,
                             .match = moment.match,
                             .start_ns = start_ns_[static_cast<std::size_t>(depth_)],
                             .end_ns = instant(exec)});
  // What is around this moment goes on.
  const int outer = depth_ > 0 && depth_ <= deepest ? open_[static_cast<std::size_t>(depth_ - 1)] : around;
  if (outer != around && outer != current_) instruments_.timer.mark(current_ = outer, exec);
  if (phases_.of(moment, second_) >= 0) Kokkos::Profiling::popRegion();
}

template StepPhases::StepPhases(const nn::Model<float>&, const nn::Model<float>&, const char*, const char*);
template StepPhases::StepPhases(const nn::Model<bfloat16>&, const nn::Model<bfloat16>&, const char*, const char*);
template StepPhases::StepPhases(const nn::Model<float16>&, const nn::Model<float16>&, const char*, const char*);

}  // namespace partita::training
