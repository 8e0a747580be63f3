// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/gathered_weights.hpp>

#include <utility>

#include <partita/core/float16.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel {

template <class Scalar>
GatheredWeights<Scalar>::GatheredWeights(const comm::Communicator& axis, comm::Via how, const Shards& shards,
                                         std::vector<index_t> sweeps)
    : axis_(axis.duplicate(axis.name())),
      shards_(&shards),
      shard_(make_buffer<Scalar>("partita::parallel::GatheredWeights::shard", shards.size())),
      buffers_(make_buffer<Scalar>("partita::parallel::GatheredWeights::buffers", 2 * shards.groups().longest())),
      flights_(2),
      sweeps_(std::move(sweeps)) {
  for (int g = 0; g < shards.groups().size(); ++g)
    plans_.push_back(std::make_unique<comm::AllGatherPlan<Scalar>>(axis_, how, shards.segments(g)));
}

template <class Scalar>
Vector<Scalar> GatheredWeights<Scalar>::buffer(int place, index_t n) const {
  return {buffers_.data() + place * shards_->groups().longest(), static_cast<std::size_t>(n)};
}

template <class Scalar>
int GatheredWeights<Scalar>::place_of(int group) const {
  return holds_[0] == group ? 0 : holds_[1] == group ? 1 : nowhere;
}

template <class Scalar>
void GatheredWeights<Scalar>::gather(const Exec& exec, int group, int place) {
  if (holds_[static_cast<std::size_t>(place)] != nowhere) flights_.finish(holds_[static_cast<std::size_t>(place)]);
  holds_[static_cast<std::size_t>(place)] = group;
  const Range mine = shards_->packed(group);
  auto& plan = *plans_[static_cast<std::size_t>(group)];
  flights_.launch(group, plan, [&] {
    plan.start(exec, ConstVector<Scalar>(shard_.data() + mine.offset, static_cast<std::size_t>(mine.extent)),
               buffer(place, shards_->groups()[group].extent));
  });
}

template <class Scalar>
void GatheredWeights<Scalar>::begin() {
  micro_batch_ = swept_ = 0;
  backward_ = false;
}

template <class Scalar>
void GatheredWeights<Scalar>::acquire(const Exec& exec, std::span<const Range> reads, const nn::Moment& moment,
                                      nn::Observer& observer) {
  if (reads.empty()) return;
  // A forward that backward does again belongs to backward.
  if (const bool backward = moment.part != nn::Part::forward || moment.replay; backward != backward_) {
    complete_sweeps(exec);
    if (!backward) ++micro_batch_;
    backward_ = backward;
    swept_ = 0;
  }
  const int group = shards_->groups().holding(reads.front().offset);
  const int next = learn(group, moment);
  const bool waits = place_of(group) == nowhere || flights_.in_flight(group);
  nn::Moment gathers = moment;
  gathers.part = nn::Part::exchange;
  gathers.unit = -1;
  gathers.bytes = shards_->groups()[group].extent * static_cast<index_t>(sizeof(Scalar));
  if (waits) observer.before(gathers, {}, exec);
  turn_to(exec, group, next);
  if (waits) observer.after(gathers, {}, exec);
}

// The window holds a group, and the next one, if it is known, is on its way.
template <class Scalar>
void GatheredWeights<Scalar>::turn_to(const Exec& exec, int group, int next) {
  if (place_of(group) == nowhere) gather(exec, group, 1 - current_);
  flights_.finish(group);
  current_ = place_of(group);
  const Range range = shards_->groups()[group];
  window_ = {buffer(current_, range.extent).data(), range};
  if (next != nowhere && place_of(next) == nowhere) gather(exec, next, 1 - current_);
}

// Others have more pieces of this micro-batch than I: what they gather, I give.
template <class Scalar>
void GatheredWeights<Scalar>::complete_sweeps(const Exec& exec) {
  const std::vector<int>& order = passes_[backward_ ? 1 : 0].order;
  for (; swept_ < sweeps_[static_cast<std::size_t>(micro_batch_)]; ++swept_)
    for (std::size_t i = 0; i < order.size(); ++i)
      turn_to(exec, order[i], i + 1 < order.size() ? order[i + 1] : nowhere);
}

// The group that will be asked for after this one, if it is known.
template <class Scalar>
int GatheredWeights<Scalar>::learn(int group, const nn::Moment& moment) {
  Pass& pass = passes_[backward_ ? 1 : 0];
  if (pass.first_unit < 0) {
    pass.first_unit = moment.unit;
    pass.first_part = moment.part;
  }
  if (moment.unit == pass.first_unit && moment.part == pass.first_part) {
    ++swept_;
    at_ = 0;
    pass.learnt = !pass.order.empty();
  }
  if (!pass.learnt) {
    if (pass.order.empty() || pass.order.back() != group) pass.order.push_back(group);
    return nowhere;
  }
  while (at_ < pass.order.size() && pass.order[at_] != group) ++at_;
  return at_ + 1 < pass.order.size() ? pass.order[at_ + 1] : nowhere;
}

template <class Scalar>
void GatheredWeights<Scalar>::forget() {
  flights_.finish();
  holds_ = {nowhere, nowhere};
}

template <class Scalar>
void GatheredWeights<Scalar>::visit(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) {
  for (int g = 0; g < shards_->groups().size(); ++g) {
    if (place_of(g) == nowhere) gather(exec, g, 1 - current_);
    flights_.finish(g);
    current_ = place_of(g);
    visit(buffer(current_, shards_->groups()[g].extent));
  }
}

template class GatheredWeights<float>;
template class GatheredWeights<double>;
template class GatheredWeights<bfloat16>;
template class GatheredWeights<float16>;

}  // namespace partita::parallel
