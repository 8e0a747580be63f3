// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/tied_table.hpp>

#include <algorithm>
#include <utility>

#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/pipeline/deadlock.hpp>

namespace partita::parallel {
namespace {

using nn::Action;
using Kind = Action::Kind;

bool has(std::span<const Range> ranges, const Range& range) {
  return std::ranges::any_of(
      ranges, [&](const Range& each) { return each.offset == range.offset && each.extent == range.extent; });
}

constexpr int gradient_tag = 0, weight_tag = 1;

}  // namespace

Needs tied_needs(int stages, index_t aside) {
  return [last = stages - 1, aside](const Action& action, std::vector<Event>& needed) {
    const auto [kind, stage, m] = action;
    if (kind != Kind::backward && kind != Kind::backward_weights) return;
    // A fused backward of the first stage needs that of the last one anyway.
    if (stage == 0) needed.push_back({Event::Kind::released, last, m});
    if (stage == last && m >= aside) needed.push_back({Event::Kind::released, 0, m - aside});
  };
}

index_t tied_aside(const std::vector<nn::Actions>& schedule, int stages) {
  index_t most = 1;
  for (const nn::Actions& actions : schedule)
    for (const Action& action : actions) most = std::max(most, action.micro_batch + 1);
  require_no_deadlock(schedule, tied_needs(stages, most));
  const auto end = [](const InOrder& run) { return *std::ranges::max_element(run.end); };
  const double soonest = end(run_with_buffers(schedule, tied_needs(stages, most)));
  index_t too_few = 0, enough = most;
  while (enough - too_few > 1) {
    const index_t aside = (too_few + enough) / 2;
    const InOrder run = run_with_buffers(schedule, tied_needs(stages, aside));
    (run.stuck.empty() && end(run) <= soonest ? enough : too_few) = aside;
  }
  return enough;
}

index_t tied_buffers(const std::vector<nn::Actions>& schedule, const std::vector<int>& rank_of_stage, int rank,
                     const nn::Division& division) {
  const int first = rank_of_stage.front(), last = rank_of_stage.back(), stages = static_cast<int>(rank_of_stage.size());
  if (division.leaves > 0) {
    const index_t aside = tied_aside(schedule, stages) * division.most_pieces();
    return rank == last ? aside : 0;
  }
  // Both on one rank: the first gradient replaces what there was, so the order counts.
  if (first == last) tied_aside(schedule, stages);
  return first != last && (rank == first || rank == last) ? 1 : 0;
}

Range tied_copy(const std::vector<int>& rank_of_stage, int rank, const std::string& tensor,
                const nn::ParameterTable& table) {
  if (tensor.empty() || rank != rank_of_stage.back() || rank == rank_of_stage.front()) return {0, 0};
  return table.at(tensor).range;
}

// Where the table is on this rank, and who else has it.
template <class Scalar>
struct TiedTable<Scalar>::Place {
  Place(comm::Communicator of, ActionClock& clock) : messages(std::move(of)), times(clock) {}

  comm::Communicator messages;
  ActionClock& times;
  comm::TrafficEntry* traffic = nullptr;
  bool owns = false, reads = false;   // whether the first stage is here, and the last one
  int peer = -1;                      // the other rank that has it, if any
  Range range = {0, 0};               // of the flat weights
  index_t embedding = -1, head = -1;  // units
  bool deterministic = false;
  index_t pieces = 0;
  index_t buffers = 0;
  std::vector<index_t> slots;  // of the pieces: in which what the head has of each is put aside

  bool is_copy() const { return reads && peer >= 0; }
  // What the head has of all pieces, in fast mode.
  bool lands() const { return owns && peer >= 0 && !deterministic; }
};

template <class Scalar>
class TiedTable<Scalar>::Sum final : public nn::GradientSum<Real> {
 public:
  Sum(nn::GradientSum<Real>& inner, Place& place) : inner_(inner), place_(place) {
    aside_ = make_buffer<Real>("partita::parallel::TiedTable::aside", place.buffers * place.range.extent);
    if (place.peer < 0) return;
    const index_t messages = place.is_copy() ? place.buffers : 1;
    messages_.reserve(static_cast<std::size_t>(messages));
    for (index_t k = 0; k < messages; ++k) messages_.emplace_back(place.messages, place.peer, place.range.extent);
  }

  nn::Destination<Real> destination(const Exec& exec, index_t piece, index_t unit) override {
    if (unit == place_.head && place_.buffers > 0) {
      const index_t slot = slot_of(piece);
      if (place_.is_copy()) wait(messages_[static_cast<std::size_t>(slot)], exec);
      const bool more = !place_.deterministic && piece > 0;
      return {nn::Window<Real>(at(slot).data(), place_.range),
              more ? kernels::Store::accumulate : kernels::Store::overwrite};
    }
    const nn::Destination<Real> to = inner_.destination(exec, piece, unit);
    if (unit == place_.embedding) bring(exec, piece, to.vector(place_.range));
    return to;
  }
  nn::Destination<Real> statistics(index_t piece) override { return inner_.statistics(piece); }

  bool fold(const Exec& exec, index_t piece, Range range) override {
    if (range.offset != place_.range.offset || range.extent != place_.range.extent)
      return inner_.fold(exec, piece, range);
    const bool last = piece + 1 == place_.pieces;
    if (place_.is_copy()) {
      const index_t slot = slot_of(piece);
      if (place_.deterministic || last)
        messages_[static_cast<std::size_t>(slot)].send(exec, at(slot), gradient_tag, place_.traffic);
      return last;
    }
    if (place_.lands() && last) {
      wait(messages_.front(), exec);
      kernels::add<Real>(exec, at(0), sum_);
    }
    return inner_.fold(exec, piece, range);
  }

  index_t allocated() const { return nn::bytes_of(aside_); }

 private:
  index_t slot_of(index_t piece) const { return place_.slots[static_cast<std::size_t>(piece)]; }
  Vector<Real> at(index_t slot) const { return part(aside_, {slot * place_.range.extent, place_.range.extent}); }

  // Before the embedding adds to `leaf`: what the head has of this piece is in there, or zeros where it comes later.
  void bring(const Exec& exec, index_t piece, const Vector<Real>& leaf) {
    if (place_.peer < 0) {
      if (place_.deterministic) kernels::copy<Real>(exec, at(slot_of(piece)), leaf);
      return;
    }
    comm::PointToPoint<Real>& message = messages_.front();
    if (place_.deterministic) {
      message.receive(exec, leaf, gradient_tag);
      return wait(message, exec);
    }
    sum_ = leaf;
    if (piece > 0) return;
    message.receive(exec, at(0), gradient_tag);
    kernels::fill<Real>(exec, Real(0), leaf);
  }

  void wait(comm::PointToPoint<Real>& message, const Exec& exec) {
    const std::int64_t start = now_ns();
    message.wait(exec);
    place_.times.waited(now_ns() - start);
  }

  nn::GradientSum<Real>& inner_;
  Place& place_;
  Vector<Real> aside_, sum_;
  std::vector<comm::PointToPoint<Real>> messages_;  // of a copy: for each slot
};

template <class Scalar>
class TiedTable<Scalar>::Exchange final : public nn::ExchangeAround<Scalar> {
 public:
  Exchange(nn::Exchange<Scalar>& inner, Place& place, const nn::Model<Scalar>& model)
      : nn::ExchangeAround<Scalar>(inner),
        place_(place),
        weights_(part(model.parameters(), place.range)),
        message_(place.messages, place.peer, place.range.extent) {}

  void reading(const Exec& exec, const nn::Moment& moment, std::span<const Range> reads,
               nn::Observer& observer) override {
    if (place_.is_copy() && has(reads, place_.range)) arrive(exec);
    nn::ExchangeAround<Scalar>::reading(exec, moment, reads, observer);
  }

  void finish(const Exec& exec, nn::Observer& observer) override {
    nn::ExchangeAround<Scalar>::finish(exec, observer);
    if (!place_.is_copy()) message_.wait(exec);  // the update overwrites what was sent
    if (place_.traffic == nullptr) return;
    const bool gradients = place_.is_copy();
    const double messages = gradients && place_.deterministic ? static_cast<double>(place_.pieces) : 1;
    const std::size_t size = gradients ? sizeof(Real) : sizeof(Scalar);
    place_.traffic->expected_messages += messages;
    place_.traffic->expected_bytes += messages * static_cast<double>(place_.range.extent) * static_cast<double>(size);
  }

  void publish(const Exec& exec, nn::Observer& observer) override {
    nn::ExchangeAround<Scalar>::publish(exec, observer);
    if (place_.is_copy())
      message_.receive(exec, weights_, weight_tag);
    else
      message_.send(exec, weights_, weight_tag, place_.traffic);
  }

  void visit_weights(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) override {
    if (place_.is_copy()) message_.wait(exec);
    nn::ExchangeAround<Scalar>::visit_weights(exec, visit);
  }

 private:
  void arrive(const Exec& exec) {
    if (message_.landed()) return;
    const std::int64_t start = now_ns();
    message_.wait(exec);
    place_.times.waited(now_ns() - start);
  }

  Place& place_;
  Vector<Scalar> weights_;
  comm::PointToPoint<Scalar> message_;
};

template <class Scalar>
TiedTable<Scalar>::TiedTable(const comm::Communicator& axis, const std::vector<nn::Actions>& schedule,
                             const std::vector<int>& rank_of_stage, const std::string& tensor,
                             const nn::Model<Scalar>& model, const nn::Division& division, nn::GradientSum<Real>& sum,
                             nn::Exchange<Scalar>& inner, ActionClock& times)
    : inner_sum_(sum), inner_(inner), place_(std::make_unique<Place>(axis.duplicate(axis.name()), times)) {
  const int first = rank_of_stage.front(), last = rank_of_stage.back();
  Place& place = *place_;
  place.traffic = first == last ? nullptr : axis.traffic_entry("tied", "direct");
  place.deterministic = division.leaves > 0;
  place.pieces = std::ssize(division.pieces);
  place.buffers = tied_buffers(schedule, rank_of_stage, axis.rank(), division);
  place.owns = axis.rank() == first;
  place.reads = axis.rank() == last;
  if (!place.owns && !place.reads) return;
  if (first != last) place.peer = place.owns ? last : first;
  place.range = model.table().at(tensor).range;
  for (const nn::Unit<Scalar>* unit : model.units()) {
    if (!has(unit->reads(), place.range)) continue;
    const bool embedding = place.owns && has(unit->ranges(), place.range);
    (embedding ? place.embedding : place.head) = unit->number();
  }
  const index_t most = division.most_pieces();
  for (index_t m = 0; m < std::ssize(division.micro_batches); ++m)
    for (index_t k = 0; k < division.micro_batches[static_cast<std::size_t>(m)].extent; ++k)
      place.slots.push_back(place.buffers > 0 ? (m * most + k) % place.buffers : 0);
  sum_ = std::make_unique<Sum>(sum, place);
  if (place.peer >= 0) exchange_ = std::make_unique<Exchange>(inner, place, model);
}

template <class Scalar>
TiedTable<Scalar>::~TiedTable() = default;

template <class Scalar>
nn::GradientSum<nn::Sum<Scalar>>& TiedTable<Scalar>::sum() {
  return sum_ ? *sum_ : inner_sum_;
}

template <class Scalar>
nn::Exchange<Scalar>& TiedTable<Scalar>::exchange() {
  return exchange_ ? *exchange_ : inner_;
}

template <class Scalar>
Range TiedTable<Scalar>::copy() const {
  return place_->is_copy() ? place_->range : Range{0, 0};
}

template <class Scalar>
index_t TiedTable<Scalar>::allocated() const {
  return sum_ ? sum_->allocated() : 0;
}

template <class Scalar>
index_t TiedTable<Scalar>::bytes() const {
  return place_->buffers * place_->range.extent * static_cast<index_t>(sizeof(Real));
}

template class TiedTable<float>;
template class TiedTable<double>;
template class TiedTable<bfloat16>;
template class TiedTable<float16>;

}  // namespace partita::parallel
