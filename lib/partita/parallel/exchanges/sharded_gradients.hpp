// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/collectives/reduce_scatter.hpp>
#include <partita/nn/gradient_sum.hpp>
#include <partita/nn/model.hpp>
#include <partita/parallel/completion.hpp>
#include <partita/parallel/flights.hpp>
#include <partita/parallel/shards.hpp>

namespace partita::parallel {

/// Gradients of which a rank keeps its shard (fast mode): a group of units writes the gradient of a micro-batch into a
/// bucket, which is reduce-scattered as soon as it is complete, while backward goes on; what arrives is added to the
/// shard. Batch statistics are kept whole and added up.
///
/// Memory   the shard, the statistics, and buckets of the largest group: one more than are written at once.
/// Traffic  "reduce_scatter": every group once a micro-batch.
template <class Scalar>
class ShardedGradients final : public nn::GradientSum<nn::Sum<Scalar>> {
 public:
  using Real = nn::Sum<Scalar>;

  /// All that is referred to must outlive this. Not collective, but in order.
  ShardedGradients(const comm::Communicator& axis, comm::Via how, const nn::Model<Scalar>& model, const Shards& shards,
                   const nn::Division& division);

  nn::Destination<Real> destination(const Exec& exec, index_t piece, index_t unit) override;
  nn::Destination<Real> statistics(index_t piece) override;
  bool fold(const Exec& exec, index_t piece, Range range) override;

  /// Between units.
  void progress();
  /// After the pass: the shard is complete. Collective.
  void finish();
  /// Packed.
  Vector<Real> shard() const { return shard_; }
  Vector<Real> statistics() const { return statistics_; }
  nn::OverlapTime take_overlap() { return flights_.take_time(); }

  using Units = std::vector<const nn::Unit<Scalar>*>;
  /// How many buckets a model of these units needs.
  static int buckets(const Units& units, const Shards& shards);
  /// Bytes of shard, statistics and buckets: what is allocated, and the same in advance.
  index_t allocated() const { return nn::bytes_of(shard_, statistics_, buckets_); }
  static index_t bytes(const Units& units, const Shards& shards, index_t statistics);

 private:
  static constexpr int nowhere = -1;
  static std::vector<int> groups_of_units(const Units& units, const Shards& shards);

  void open(int group, index_t piece);
  void arrived(int group);
  Vector<Real> bucket(int group) const;

  const Shards* shards_;
  std::vector<int> group_of_unit_;
  index_t weights_, pieces_, groups_with_elements_ = 0, launched_ = 0;
  Vector<Real> shard_, statistics_, buckets_;
  std::vector<int> holds_;         // group of a bucket
  std::vector<int> bucket_of_;     // of a group
  std::vector<index_t> piece_of_;  // of a group, the piece that its bucket holds
  Completion complete_;
  std::vector<std::unique_ptr<comm::ReduceScatterPlan<Real>>> plans_;  // of the groups
  Flights flights_;
  Exec exec_;
};

}  // namespace partita::parallel
