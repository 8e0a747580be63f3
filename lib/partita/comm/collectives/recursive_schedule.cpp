// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <bit>

#include <partita/comm/collectives/schedule.hpp>

namespace partita::comm {
namespace {

// Of log2 P rounds with few messages each: kept.
class Rounds final : public Schedule {
 public:
  Rounds(index_t n, int P, int rank, index_t chunk) : chunk_(chunk) {
    taking_part_ = static_cast<int>(std::bit_floor(static_cast<unsigned>(P)));
    const int beyond = P - taking_part_;
    // The first 2 * beyond ranks come in pairs, of which the odd one takes part for both.
    const bool paired = rank < 2 * beyond;
    number_ = paired ? rank / 2 : rank - beyond;
    beyond_ = beyond;
    all_ = {0, n};
    hands_over_ = paired && rank % 2 == 0;
    stands_for_ = paired && rank % 2 == 1;
    neighbour_ = hands_over_ ? rank + 1 : rank - 1;
  }

  index_t sends() const override { return std::ssize(sends_); }
  index_t receives() const override { return std::ssize(receives_); }
  Message send(index_t i) const override { return sends_[static_cast<std::size_t>(i)]; }
  Message receive(index_t i) const override { return receives_[static_cast<std::size_t>(i)]; }
  index_t ahead() const override { return RingOptions{}.most_chunks; }  // a round
  index_t longest_sum() const override { return longest_sum_; }

  // f() makes the rounds of those who take part.
  template <class F>
  void frame(const F& f) {
    if (hands_over_) {
      leaves(neighbour_, all_);
      arrives(neighbour_, all_, false, sends(), 0);
      return;
    }
    if (stands_for_) arrives(neighbour_, all_, true, 0, 0);
    f();
    if (stands_for_) leaves(neighbour_, all_);
  }
  int number() const { return number_; }
  int taking_part() const { return taking_part_; }

  // Both send all and add what arrives: a piece may change when it has left.
  void add_all(int partner) {
    const index_t sent = sends();
    leaves(rank_of(partner), all_);
    arrives(rank_of(partner), all_, true, sent + 1, 1);
  }
  // Each sends a part, adds or keeps another.
  void swap(int partner, Range mine, Range theirs, bool adds) {
    const index_t sent = sends();
    leaves(rank_of(partner), mine);
    arrives(rank_of(partner), theirs, adds, adds ? 0 : sent, 0);
  }

 private:
  int rank_of(int number) const { return number < beyond_ ? 2 * number + 1 : number + beyond_; }
  void leaves(int to, Range range) {
    const index_t after = receives();
    for_pieces(range, [&](Range piece) { sends_.push_back({to, Place::output, piece, false, after}); });
  }
  // Piece k may change the output when after + k * step sends have left.
  void arrives(int from, Range range, bool adds, index_t after, index_t step) {
    for_pieces(range, [&](Range piece) {
      receives_.push_back({from, Place::output, piece, adds, after});
      after += step;
      if (adds) longest_sum_ = std::max(longest_sum_, piece.extent);
    });
  }
  template <class F>
  void for_pieces(Range range, const F& f) const {
    for (index_t at = 0; at < range.extent; at += chunk_)
      f(Range{range.offset + at, std::min(chunk_, range.extent - at)});
  }

  index_t chunk_, longest_sum_ = 0;
  int taking_part_, beyond_, number_, neighbour_;
  bool hands_over_, stands_for_;
  Range all_;
  std::vector<Message> sends_, receives_;
};

}  // namespace

std::unique_ptr<Schedule> doubling_schedule(index_t n, int P, int rank, index_t chunk) {
  auto rounds = std::make_unique<Rounds>(n, P, rank, chunk);
  rounds->frame([&] {
    for (int distance = 1; distance < rounds->taking_part(); distance *= 2)
      rounds->add_all(rounds->number() ^ distance);
  });
  return rounds;
}

std::unique_ptr<Schedule> halving_schedule(index_t n, int P, int rank, index_t chunk) {
  auto rounds = std::make_unique<Rounds>(n, P, rank, chunk);
  rounds->frame([&] {
    const int blocks = rounds->taking_part(), me = rounds->number();
    const auto range = [&](int first, int count) {
      const index_t begin = partition(n, blocks, first).offset;
      return Range{begin, partition(n, blocks, first + count - 1).end() - begin};
    };
    int first = 0;  // of the blocks that are mine still
    for (int half = blocks / 2; half > 0; half /= 2) {
      const int upper = first + half;
      const bool keeps_upper = (me & half) != 0;
      rounds->swap(me ^ half, range(keeps_upper ? first : upper, half), range(keeps_upper ? upper : first, half), true);
      if (keeps_upper) first = upper;
    }
    for (int mine = 1; mine < blocks; mine *= 2) {
      const int other = first ^ mine;
      rounds->swap(me ^ mine, range(first, mine), range(other, mine), false);
      first &= ~mine;
    }
  });
  return rounds;
}

}  // namespace partita::comm
