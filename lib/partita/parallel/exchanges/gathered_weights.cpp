// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/gathered_weights.hpp>

#include <string>

#include <partita/core/float16.hpp>

namespace partita::parallel {
namespace {

template <class Scalar>
Vector<Scalar> make(const char* label, index_t n) {
  return Vector<Scalar>(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), n);
}

constexpr auto nothing = [](int) {};

}  // namespace

template <class Scalar>
GatheredWeights<Scalar>::GatheredWeights(const comm::Communicator& axis, comm::Via how, const Shards& shards)
    : shards_(&shards),
      shard_(make<Scalar>("partita::parallel::GatheredWeights::shard", shards.size())),
      buffers_(make<Scalar>("partita::parallel::GatheredWeights::buffers", 2 * shards.largest_group())),
      flights_(2) {
  for (int g = 0; g < shards.groups(); ++g)
    plans_.push_back(std::make_unique<comm::AllGatherPlan<Scalar>>(axis, how, shards.segments(g)));
}

template <class Scalar>
Vector<Scalar> GatheredWeights<Scalar>::buffer(int place, index_t n) const {
  return {buffers_.data() + place * shards_->largest_group(), static_cast<std::size_t>(n)};
}

template <class Scalar>
int GatheredWeights<Scalar>::place_of(int group) const {
  return holds_[0] == group ? 0 : holds_[1] == group ? 1 : nowhere;
}

template <class Scalar>
void GatheredWeights<Scalar>::gather(const Exec& exec, int group, int place) {
  if (holds_[static_cast<std::size_t>(place)] != nowhere)
    flights_.finish(holds_[static_cast<std::size_t>(place)], nothing);
  holds_[static_cast<std::size_t>(place)] = group;
  const Range mine = shards_->packed(group);
  auto& plan = *plans_[static_cast<std::size_t>(group)];
  flights_.launch(group, plan, [&] {
    plan.start(exec, ConstVector<Scalar>(shard_.data() + mine.offset, static_cast<std::size_t>(mine.extent)),
               buffer(place, shards_->group(group).extent));
  });
}

template <class Scalar>
void GatheredWeights<Scalar>::acquire(const Exec& exec, std::span<const Range> reads, const nn::Moment& moment,
                                      nn::Observer& observer) {
  if (reads.empty()) return;
  const int group = shards_->holding(reads.front().offset);
  const int next = learn(group, moment);
  int place = place_of(group);
  if (place == nowhere || flights_.in_flight(group)) {
    nn::Moment waits = moment;
    waits.part = nn::Part::exchange;
    waits.unit = -1;
    waits.bytes = shards_->group(group).extent * static_cast<index_t>(sizeof(Scalar));
    observer.before(waits, {}, exec);
    if (place == nowhere) gather(exec, group, place = 1 - current_);
    flights_.finish(group, nothing);
    observer.after(waits, {}, exec);
  }
  current_ = place;
  const Range range = shards_->group(group);
  window_ = {buffer(place, range.extent).data(), range};
  if (next != nowhere && place_of(next) == nowhere) gather(exec, next, 1 - current_);
}

// The group that will be asked for after this one, if it is known.
template <class Scalar>
int GatheredWeights<Scalar>::learn(int group, const nn::Moment& moment) {
  const bool backward = moment.part != nn::Part::forward;
  Pass& pass = passes_[backward ? 1 : 0];
  if (pass.first_unit < 0) pass.first_unit = moment.unit;
  if (backward != backward_ || moment.unit == pass.first_unit) {
    backward_ = backward;
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
  flights_.finish(nothing);
  holds_ = {nowhere, nowhere};
}

template <class Scalar>
void GatheredWeights<Scalar>::visit(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) {
  for (int g = 0; g < shards_->groups(); ++g) {
    if (place_of(g) == nowhere) gather(exec, g, 1 - current_);
    flights_.finish(g, nothing);
    current_ = place_of(g);
    visit(buffer(current_, shards_->group(g).extent));
  }
}

template class GatheredWeights<float>;
template class GatheredWeights<double>;
template class GatheredWeights<bfloat16>;
template class GatheredWeights<float16>;

}  // namespace partita::parallel
