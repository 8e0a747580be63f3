// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/comm/collectives/schedule.hpp>

// Schedules in which every message goes straight to where it belongs.

namespace partita::comm {
namespace {

constexpr index_t longest_message = index_t{1} << 30;  // MPI counts to 2^31 - 1

constexpr index_t divide_up(index_t a, index_t b) { return (a + b - 1) / b; }

// One side sends parts, the other receives them: part k of a rank is cut into `pieces` messages, of which late ones may
// be empty.
class Direct : public Schedule {
 protected:
  explicit Direct(index_t longest) : pieces_(divide_up(longest, longest_message)) {}

  Range piece(Range of, index_t i) const {
    const index_t begin = std::min(i % pieces_ * longest_message, of.extent);
    return {of.offset + begin, std::min(longest_message, of.extent - begin)};
  }
  index_t pieces_;
};

class CentralReduce final : public Schedule {
 public:
  CentralReduce(index_t n, int P, int rank, int root, index_t chunk)
      : n_(n), P_(P), rank_(rank), root_(root), chunk_(chunk), chunks_(divide_up(n, chunk)) {}

  index_t sends() const override { return rank_ == root_ ? 0 : chunks_; }
  index_t receives() const override { return rank_ == root_ ? chunks_ * (P_ - 1) : 0; }
  Message send(index_t i) const override { return {root_, Place::output, range(i)}; }
  Message receive(index_t i) const override {
    const int k = static_cast<int>(i % (P_ - 1));
    return {k < root_ ? k : k + 1, Place::output, range(i / (P_ - 1)), true};
  }
  index_t longest_sum() const override { return receives() > 0 ? std::min(chunk_, n_) : 0; }

 private:
  Range range(index_t c) const { return {c * chunk_, std::min(chunk_, n_ - c * chunk_)}; }

  index_t n_;
  int P_, rank_, root_;
  index_t chunk_, chunks_;
};

// Between the root, which has all segments, and the others.
class ToAndFromRoot final : public Direct {
 public:
  ToAndFromRoot(const Segments& segments, int rank, int root, bool gathers)
      : Direct(segments.longest()), segments_(segments), rank_(rank), root_(root), gathers_(gathers) {}

  index_t sends() const override { return count(!gathers_); }
  index_t receives() const override { return count(gathers_); }
  Message send(index_t i) const override { return message(i, Place::input); }
  Message receive(index_t i) const override { return message(i, Place::output); }
  OwnPart own() const override {
    if (rank_ != root_) return {};
    const Range mine = segments_[root_];
    return gathers_ ? OwnPart{{0, mine.extent}, mine.offset} : OwnPart{mine, 0};
  }

 private:
  index_t count(bool by_root) const {
    if (rank_ != root_) return by_root ? 0 : pieces_;
    return by_root ? pieces_ * (segments_.ranks() - 1) : 0;
  }
  Message message(index_t i, Place place) const {
    if (rank_ != root_) return {root_, place, piece({0, segments_[rank_].extent}, i)};
    const auto k = static_cast<int>(i / pieces_);
    const int other = k < root_ ? k : k + 1;
    return {other, place, piece(segments_[other], i)};
  }

  Segments segments_;
  int rank_, root_;
  bool gathers_;
};

class AllToAll final : public Direct {
 public:
  AllToAll(const Segments& segments, int rank) : Direct(segments.longest()), segments_(segments), rank_(rank) {}

  index_t sends() const override { return pieces_ * (P() - 1); }
  index_t receives() const override { return sends(); }
  Message send(index_t i) const override {
    const int to = at(1 + static_cast<int>(i / pieces_));
    return {to, Place::input, piece(segments_[to], i)};
  }
  Message receive(index_t i) const override {
    const int from = at(-1 - static_cast<int>(i / pieces_));
    const index_t mine = segments_[rank_].extent;
    return {from, Place::output, piece({from * mine, mine}, i)};
  }
  OwnPart own() const override { return {segments_[rank_], rank_ * segments_[rank_].extent}; }

 private:
  int P() const { return segments_.ranks(); }
  int at(int distance) const { return (rank_ + distance + P()) % P(); }

  Segments segments_;
  int rank_;
};

class Halo final : public Direct {
 public:
  Halo(index_t interior, index_t halo, int P, int rank, bool periodic)
      : Direct(halo), interior_(interior), halo_(halo), P_(P), rank_(rank) {
    const bool alone = P == 1;
    has_left_ = !alone && (periodic || rank > 0);
    has_right_ = !alone && (periodic || rank + 1 < P);
  }

  index_t sends() const override { return pieces_ * ((has_left_ ? 1 : 0) + (has_right_ ? 1 : 0)); }
  index_t receives() const override { return sends(); }
  // First what goes to the left: where both neighbours are one rank, messages match by order.
  Message send(index_t i) const override {
    const bool left = has_left_ && i < pieces_;
    return {left ? left_rank() : right_rank(), Place::output, piece({left ? halo_ : interior_, halo_}, i)};
  }
  Message receive(index_t i) const override {
    const bool right = has_right_ && i < pieces_;
    return {right ? right_rank() : left_rank(), Place::output, piece({right ? halo_ + interior_ : 0, halo_}, i)};
  }

 private:
  int left_rank() const { return (rank_ - 1 + P_) % P_; }
  int right_rank() const { return (rank_ + 1) % P_; }

  index_t interior_, halo_;
  int P_, rank_;
  bool has_left_, has_right_;
};

class Line final : public Direct {
 public:
  Line(const Borders& borders, int rank)
      : Direct(std::max({borders.to_left, borders.to_right, borders.from_left, borders.from_right})),
        borders_(borders),
        rank_(rank) {}

  index_t sends() const override { return 2 * pieces_; }
  index_t receives() const override { return 2 * pieces_; }
  // The sides take turns. Neighbours may count other pieces, of which the empty ones come last and are not sent.
  Message send(index_t i) const override { return message(i, Place::input, {borders_.to_left, borders_.to_right}); }
  Message receive(index_t i) const override {
    return message(i, Place::output, {borders_.from_left, borders_.from_right});
  }

 private:
  struct Sides {
    index_t left, right;
  };
  Message message(index_t i, Place place, Sides sides) const {
    const bool left = i % 2 == 0;
    const Range of = left ? Range{0, sides.left} : Range{sides.left, sides.right};
    return {left ? rank_ - 1 : rank_ + 1, place, piece(of, i / 2)};
  }

  Borders borders_;
  int rank_;
};

class Transfer final : public Direct {
 public:
  Transfer(index_t n, int rank, int from, int to)
      : Direct(from == to ? 0 : n), n_(n), rank_(rank), from_(from), to_(to) {}

  index_t sends() const override { return rank_ == from_ ? pieces_ : 0; }
  index_t receives() const override { return rank_ == to_ ? pieces_ : 0; }
  Message send(index_t i) const override { return {to_, Place::output, piece({0, n_}, i)}; }
  Message receive(index_t i) const override { return {from_, Place::output, piece({0, n_}, i)}; }

 private:
  index_t n_;
  int rank_, from_, to_;
};

}  // namespace

std::unique_ptr<Schedule> central_reduce_schedule(index_t n, int P, int rank, int root, index_t chunk) {
  return std::make_unique<CentralReduce>(n, P, rank, root, chunk);
}
std::unique_ptr<Schedule> gather_schedule(const Segments& segments, int rank, int root) {
  return std::make_unique<ToAndFromRoot>(segments, rank, root, true);
}
std::unique_ptr<Schedule> scatter_schedule(const Segments& segments, int rank, int root) {
  return std::make_unique<ToAndFromRoot>(segments, rank, root, false);
}
std::unique_ptr<Schedule> all_to_all_schedule(const Segments& segments, int rank) {
  return std::make_unique<AllToAll>(segments, rank);
}
std::unique_ptr<Schedule> halo_schedule(index_t interior, index_t halo, int P, int rank, bool periodic) {
  return std::make_unique<Halo>(interior, halo, P, rank, periodic);
}
std::unique_ptr<Schedule> borders_schedule(const Borders& borders, int rank) {
  return std::make_unique<Line>(borders, rank);
}
std::unique_ptr<Schedule> transfer_schedule(index_t n, int rank, int from, int to) {
  return std::make_unique<Transfer>(n, rank, from, to);
}

Work work_of(const Schedule& schedule, index_t element_bytes) {
  Work work;
  for (index_t i = 0; i < schedule.sends(); ++i) {
    const index_t bytes = schedule.send(i).range.extent * element_bytes;
    work += {bytes > 0 ? 1.0 : 0.0, static_cast<double>(bytes), 0};
  }
  for (index_t i = 0; i < schedule.receives(); ++i)
    if (const Message message = schedule.receive(i); message.adds)
      work.memory_bytes += sum_bytes(message.range.extent * element_bytes);
  work.memory_bytes += copy_bytes(schedule.own().from.extent * element_bytes);
  return work;
}

}  // namespace partita::comm
