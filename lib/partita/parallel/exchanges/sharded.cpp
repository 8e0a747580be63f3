// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/sharded.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <partita/nn/init.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/separate_wait.hpp>

namespace partita::parallel {
namespace {

// Of each micro-batch, on the rank that has the most of it.
std::vector<index_t> most_pieces(const comm::Communicator& axis, const nn::Division& division) {
  std::vector<index_t> most(division.micro_batches.size(), 1);
  if (division.leaves == 0) return most;  // one each
  for (int rank = 0; rank < axis.size(); ++rank) {
    const nn::Division theirs = nn::divide(division.batch(), axis.size(), rank, std::ssize(most), division.leaves);
    for (std::size_t m = 0; m < most.size(); ++m) most[m] = std::max(most[m], theirs.micro_batches[m].extent);
  }
  return most;
}

}  // namespace

template <class Scalar>
ShardedExchange<Scalar>::ShardedExchange(const comm::Communicator& axis, const ShardedExchangeOptions& options,
                                         nn::Model<Scalar>& model, Shards shards, const nn::Division& division,
                                         std::uint64_t seed)
    : axis_(axis),
      options_(options),
      deterministic_(division.leaves > 0),
      shards_(std::move(shards)),
      weights_count_(model.table().size()),
      statistics_count_(model.statistics_table().size()),
      parameters_(model.parameters()),
      whole_(ConstVector<Scalar>(model.parameters())),
      complete_(shards_.groups()),
      flights_(static_cast<std::size_t>(shards_.groups().size())) {
  if (options.what != Sharding::optimizer && !deterministic_) {
    buckets_ = std::make_unique<ShardedGradients<Scalar>>(axis, comm::via(options.how), model, shards_, division);
  } else {
    flat_ = std::make_unique<nn::FlatGradientSum<Real>>(weights_count_, statistics_count_, division);
    if (deterministic_) shard_ = make_buffer<Real>("partita::parallel::ShardedExchange::shard", shards_.size());
    for (int g = 0; g < shards_.groups().size(); ++g) {
      if (deterministic_)
        reduces_.push_back(std::make_unique<comm::TreeReduceScatterPlan<Real>>(
            axis, options.how, comm::TreeNodes{shards_.groups()[g].extent, division.leaves, flat_->size()},
            shards_.segments(g)));
      else
        reduces_.push_back(
            std::make_unique<comm::ReduceScatterPlan<Real>>(axis, comm::via(options.how), shards_.segments(g)));
    }
  }
  if (statistics_count_ > 0) {
    if (deterministic_) {
      tree_statistics_ = make_buffer<Real>("partita::parallel::ShardedExchange::statistics", statistics_count_);
      statistics_plan_ = std::make_unique<comm::TreeAllreducePlan<Real>>(
          axis, options.how, comm::TreeNodes{statistics_count_, division.leaves, flat_->size()});
    } else {
      statistics_plan_ = std::make_unique<comm::AllreducePlan<Real>>(axis, options.how, statistics_count_);
    }
  }
  if (options.what == Sharding::weights) {
    gathered_ =
        std::make_unique<GatheredWeights<Scalar>>(axis, comm::via(options.how), shards_, most_pieces(axis, division));
    for (int g = 0; g < shards_.groups().size(); ++g)
      nn::initialise<Scalar>(model.table(), seed, shards_.mine(g), part(gathered_->shard(), shards_.packed(g)));
  } else {
    for (int g = 0; g < shards_.groups().size(); ++g)
      gathers_.push_back(
          std::make_unique<comm::AllGatherPlan<Scalar>>(axis, comm::via(options.how), shards_.segments(g)));
  }
}

template <class Scalar>
nn::GradientSum<typename ShardedExchange<Scalar>::Real>& ShardedExchange<Scalar>::sum() {
  if (in_buckets()) return *buckets_;
  return *flat_;
}

template <class Scalar>
nn::Ownership ShardedExchange<Scalar>::ownership() const {
  return shards_.ownership(in_buckets() || deterministic_ ? nn::Layout::packed : nn::Layout::flat,
                           gathered_ ? nn::Layout::packed : nn::Layout::flat);
}

// Starts the exchange of a group whose gradient is whole.
template <class Scalar>
void ShardedExchange<Scalar>::launch(const Exec& exec, int group) {
  comm::Plan<Real>& plan = *reduces_[static_cast<std::size_t>(group)];
  const Range range = shards_.groups()[group];
  flights_.launch(group, plan, [&] {
    if (!deterministic_) return plan.start(exec, part(flat_->node(0), range));
    plan.start(exec, flat_->of_all_nodes(range), part(shard_, shards_.packed(group)));
  });
}

template <class Scalar>
void ShardedExchange<Scalar>::ready(const Exec& exec, Range range) {
  if (in_buckets() || range.offset >= weights_count_) return;
  complete_.add(range, [&](int group) {
    if (options_.overlap) launch(exec, group);
  });
}

template <class Scalar>
void ShardedExchange<Scalar>::progress() {
  if (options_.progress == ProgressMode::none) return;
  if (gathered_) gathered_->progress();
  if (in_buckets())
    buckets_->progress();
  else
    flights_.progress();
}

template <class Scalar>
void ShardedExchange<Scalar>::finish(const Exec& exec, nn::Observer& observer) {
  if (gathered_) gathered_->end(exec);
  if (options_.separate_wait && !options_.overlap && !in_buckets()) parallel::separate_wait(axis_, exec, observer);
  if (in_buckets()) {
    buckets_->finish();
  } else {
    complete_.require_all();
    complete_.restart();
    if (!options_.overlap)
      for (int g = shards_.groups().size() - 1; g >= 0; --g) launch(exec, g);
    flights_.finish();
  }
  reduce_statistics(exec);
}

template <class Scalar>
Vector<typename ShardedExchange<Scalar>::Real> ShardedExchange<Scalar>::flat_tail() const {
  return part(flat_->node(0), {weights_count_, statistics_count_});
}

template <class Scalar>
void ShardedExchange<Scalar>::reduce_statistics(const Exec& exec) {
  if (!statistics_plan_) return;
  if (deterministic_)
    statistics_plan_->run(exec, flat_->of_all_nodes({weights_count_, statistics_count_}), tree_statistics_);
  else
    statistics_plan_->run(exec, in_buckets() ? buckets_->statistics() : flat_tail());
}

template <class Scalar>
index_t ShardedExchange<Scalar>::bytes() const {
  const index_t elements = in_buckets() ? weights_count_ : flat_->nodes() * flat_->size();
  return elements * static_cast<index_t>(sizeof(Real));
}

template <class Scalar>
nn::ExchangeBytes ShardedExchange<Scalar>::allocated() const {
  return {.weights = gathered_ ? gathered_->allocated() : 0,
          .gradients =
              (in_buckets() ? buckets_->allocated() : flat_->allocated()) + nn::bytes_of(shard_, tree_statistics_)};
}

template <class Scalar>
ConstVector<typename ShardedExchange<Scalar>::Real> ShardedExchange<Scalar>::gradients() const {
  if (in_buckets()) return buckets_->shard();
  if (deterministic_) return shard_;
  return flat_->weights_of(flat_->node(0));
}

template <class Scalar>
ConstVector<typename ShardedExchange<Scalar>::Real> ShardedExchange<Scalar>::statistics() const {
  if (in_buckets()) return buckets_->statistics();
  if (deterministic_) return tree_statistics_;
  return flat_tail();
}

template <class Scalar>
void ShardedExchange<Scalar>::publish(const Exec& exec, nn::Observer& observer) {
  if (gathered_) return gathered_->forget();
  const nn::Moment moment{.part = nn::Part::exchange, .bytes = shards_.size() * static_cast<index_t>(sizeof(Scalar))};
  observer.before(moment, {}, exec);
  for (int g = 0; g < shards_.groups().size(); ++g) {
    comm::AllGatherPlan<Scalar>& plan = *gathers_[static_cast<std::size_t>(g)];
    flights_.launch(
        g, plan, [&] { plan.start(exec, part(parameters_, shards_.mine(g)), part(parameters_, shards_.groups()[g])); });
  }
  flights_.finish();
  observer.after(moment, {}, exec);
}

template <class Scalar>
nn::OverlapTime ShardedExchange<Scalar>::take_overlap() {
  nn::OverlapTime all = flights_.take_time();
  const auto add = [&](const nn::OverlapTime& more) {
    all.exposed_s += more.exposed_s;
    all.hidden_s += more.hidden_s;
  };
  if (gathered_) add(gathered_->take_overlap());
  if (buckets_) add(buckets_->take_overlap());
  return all;
}

template <class Scalar>
void ShardedExchange<Scalar>::visit_weights(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) {
  if (gathered_) return gathered_->visit(exec, visit);
  visit(parameters_);
}

nn::CompleteSquares sum_of_squares(const comm::Communicator& axis, index_t cells) {
  const auto plan = std::make_shared<comm::AllreducePlan<double>>(axis, comm::Allreduce::automatic, cells);
  return [plan](const Exec& exec, Vector<double> squares) -> ConstVector<double> {
    plan->run(exec, squares);
    return squares;
  };
}

template class ShardedExchange<float>;
template class ShardedExchange<double>;
template class ShardedExchange<bfloat16>;
template class ShardedExchange<float16>;

}  // namespace partita::parallel
