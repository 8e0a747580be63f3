// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include <partita/comm/collectives/reduce_scatter.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/parallel/flights.hpp>
#include <partita/parallel/shards.hpp>

namespace partita::parallel {

/// Weights of which a rank keeps its shard: a group of units has its weights gathered before it runs, the group after
/// it meanwhile, and gives them up when another needs the room.
///
/// Which group is next is learnt from the first forward and the first backward pass, in which nothing is gathered
/// ahead; every rank does the same passes, so that all gather alike.
///
/// Memory   my shard, and two buffers of the largest group.
/// Traffic  "all_gather": a call for each time that a group is asked for and not here.
template <class Scalar>
class GatheredWeights {
 public:
  /// sweeps   for each micro-batch, how often the rank with the most pieces goes through the model: one with fewer
  ///          gathers as often, for the others.
  /// Gathers on a communicator like axis. Collective; shards must outlive this.
  GatheredWeights(const comm::Communicator& axis, comm::Via how, const Shards& shards, std::vector<index_t> sweeps);

  /// What I own, packed; changed by the update.
  Vector<Scalar> shard() const { return shard_; }
  /// A pass begins.
  void begin();
  /// The pass of a training step has ended. Collective.
  void end(const Exec& exec) { complete_sweeps(exec); }
  /// Moves with acquire().
  const nn::Window<const Scalar>& window() const { return window_; }

  /// The window holds the group of these weights, and the group that comes next is on its way. Waits; collective.
  void acquire(const Exec& exec, std::span<const Range> reads, const nn::Moment& moment, nn::Observer& observer);
  void progress() { flights_.progress(); }
  /// What was gathered is old: the shard has changed.
  void forget();
  /// The whole model, group by group.
  void visit(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit);
  nn::OverlapTime take_overlap() { return flights_.take_time(); }

  /// Bytes of shard and buffers: what is allocated, and the same in advance.
  index_t allocated() const { return nn::bytes_of(shard_, buffers_); }
  static index_t bytes(const Shards& shards) {
    return (shards.size() + 2 * shards.groups().longest()) * static_cast<index_t>(sizeof(Scalar));
  }

 private:
  static constexpr int nowhere = -1;

  int place_of(int group) const;
  void gather(const Exec& exec, int group, int place);
  int learn(int group, const nn::Moment& moment);
  void turn_to(const Exec& exec, int group, int next);
  void complete_sweeps(const Exec& exec);
  Vector<Scalar> buffer(int place, index_t n) const;

  comm::Communicator axis_;  // its own: ranks with fewer pieces gather later than others, between other collectives
  const Shards* shards_;
  Vector<Scalar> shard_, buffers_;
  std::vector<std::unique_ptr<comm::AllGatherPlan<Scalar>>> plans_;  // of the groups
  std::array<int, 2> holds_{nowhere, nowhere};                       // group of a buffer
  int current_ = 0;                                                  // buffer
  nn::Window<const Scalar> window_;
  Flights flights_;

  // Groups in the order in which forward and backward ask for them; learnt once. What backward replays is in its order.
  struct Pass {
    index_t first_unit = -1;  // of a replay and of a backward, in a pass that begins with a replay
    nn::Part first_part = nn::Part::forward;
    std::vector<int> order = {};
    bool learnt = false;
  };
  std::array<Pass, 2> passes_;
  bool backward_ = false;
  std::size_t at_ = 0;
  std::vector<index_t> sweeps_;  // of a micro-batch
  index_t micro_batch_ = 0, swept_ = 0;
};

}  // namespace partita::parallel
