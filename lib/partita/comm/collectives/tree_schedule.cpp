// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <bit>

#include <partita/comm/collectives/schedule.hpp>

namespace partita::comm {
namespace {

// A rank's place in a tree over ranks, counted from the root.
class Family {
 public:
  Family(int P, int rank, int root, Tree tree) : P_(P), root_(root), tree_(tree), me_((rank - root + P) % P) {
    if (tree == Tree::chain) {
      children_ = me_ + 1 < P ? 1 : 0;
      return;
    }
    // Child k is 2^k further on, for all k below the lowest bit of my own number.
    const auto number = static_cast<unsigned>(me_);
    const int most = me_ == 0 ? 31 : std::countr_zero(number);
    while (children_ < most && me_ + (1 << children_) < P) ++children_;
  }
  bool has_parent() const { return me_ > 0; }
  int parent() const { return rank_of(tree_ == Tree::chain ? me_ - 1 : me_ & (me_ - 1)); }
  int children() const { return children_; }
  // The one with the most below it first.
  int child(int k) const { return rank_of(tree_ == Tree::chain ? me_ + 1 : me_ + (1 << (children_ - 1 - k))); }

 private:
  int rank_of(int number) const { return (number + root_) % P_; }

  int P_, root_;
  Tree tree_;
  int me_, children_ = 0;
};

class Chunks : public Schedule {
 protected:
  Chunks(index_t n, index_t chunk) : n_(n), chunk_(chunk), chunks_((n + chunk - 1) / chunk) {}
  Range range(index_t c) const { return {c * chunk_, std::min(chunk_, n_ - c * chunk_)}; }

  index_t n_, chunk_, chunks_;
};

class Broadcast final : public Chunks {
 public:
  Broadcast(index_t n, const Family& family, index_t chunk) : Chunks(n, chunk), family_(family) {}

  index_t sends() const override { return chunks_ * family_.children(); }
  index_t receives() const override { return family_.has_parent() ? chunks_ : 0; }
  Message send(index_t i) const override {
    const index_t c = i / family_.children();
    const int child = family_.child(static_cast<int>(i % family_.children()));
    return {child, Place::output, range(c), false, family_.has_parent() ? c + 1 : 0};
  }
  Message receive(index_t i) const override { return {family_.parent(), Place::output, range(i)}; }

 private:
  Family family_;
};

class Reduce final : public Chunks {
 public:
  Reduce(index_t n, const Family& family, index_t chunk) : Chunks(n, chunk), family_(family) {}

  index_t sends() const override { return family_.has_parent() ? chunks_ : 0; }
  index_t receives() const override { return chunks_ * family_.children(); }
  Message send(index_t i) const override {
    return {family_.parent(), Place::output, range(i), false, (i + 1) * family_.children()};
  }
  Message receive(index_t i) const override {
    // The nearest child, which has the least below it, is ready first.
    const int k = family_.children() - 1 - static_cast<int>(i % family_.children());
    return {family_.child(k), Place::output, range(i / family_.children()), true};
  }
  index_t longest_sum() const override { return family_.children() > 0 ? std::min(chunk_, n_) : 0; }

 private:
  Family family_;
};

}  // namespace

std::unique_ptr<Schedule> broadcast_schedule(index_t n, int P, int rank, int root, Tree tree, index_t chunk) {
  return std::make_unique<Broadcast>(n, Family(P, rank, root, tree), chunk);
}

std::unique_ptr<Schedule> reduce_schedule(index_t n, int P, int rank, int root, Tree tree, index_t chunk) {
  return std::make_unique<Reduce>(n, Family(P, rank, root, tree), chunk);
}

}  // namespace partita::comm
