// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/data_parallel.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <partita/core/float16.hpp>
#include <partita/nn/norm_cells.hpp>

namespace partita::parallel {
namespace {

bool is_sharded(Strategy strategy) {
  return strategy == Strategy::zero1 || strategy == Strategy::zero2 || strategy == Strategy::zero3;
}

Sharding sharding(Strategy strategy) {
  return strategy == Strategy::zero1   ? Sharding::optimizer
         : strategy == Strategy::zero2 ? Sharding::gradients
                                       : Sharding::weights;
}

// Where the gradient is cut: zero2 and zero3 hold whole units.
template <class Scalar>
std::vector<index_t> groups(const DataParallelOptions& options, const nn::ParameterTable& table,
                            const std::vector<const nn::Unit<Scalar>*>& units) {
  const index_t elements = options.bucket_bytes / static_cast<index_t>(sizeof(nn::Sum<Scalar>));
  if (options.strategy == Strategy::zero2 || options.strategy == Strategy::zero3)
    return unit_groups<Scalar>(table, units, elements);
  return options.bucket_bytes == 0 ? std::vector<index_t>{0, table.size()} : even_groups(table, elements);
}

// Beyond this a list of norm cells would itself be large: models that no machine of today holds whole.
constexpr index_t most_counted = index_t{1} << 33;

// As if shares were even and cells full, without buckets.
template <class Scalar>
StrategyBytes estimate(const DataParallelOptions& options, index_t n, index_t statistics, int ranks,
                       const nn::Division& division, const kernels::OptimizerOptions& rule) {
  using Real = nn::Sum<Scalar>;
  n = std::min(n, index_t{1} << 52);  // bytes must be countable
  const index_t share = (n + ranks - 1) / ranks, cells = n / kernels::norm_cell_limit;
  const bool small_gradients = options.strategy == Strategy::zero2 || options.strategy == Strategy::zero3;
  const index_t updated = is_sharded(options.strategy) ? share : n;
  return {
      .weights = (options.whole_weights() ? n : share) * static_cast<index_t>(sizeof(Scalar)),
      .gradients = small_gradients && division.leaves == 0 ? (share + statistics) * static_cast<index_t>(sizeof(Real))
                                                           : nn::FlatGradientSum<Real>::bytes(n, statistics, division),
      .optimizer =
          static_cast<index_t>(nn::Update<Scalar>::bytes(rule, updated, cells, updated / kernels::norm_cell_limit))};
}

}  // namespace

std::string DataParallelOptions::text() const {
  std::string words = fmt::format("{}/{}", name_of(strategies, strategy), comm::to_string(how));
  if (bucket_bytes > 0) words += "/buckets";
  if (strategy == Strategy::local_sgd) words += fmt::format("/every {}", local_steps);
  return words;
}

template <class Scalar>
DataParallel<Scalar>::DataParallel(const comm::Communicator& axis, const DataParallelOptions& options,
                                   nn::Model<Scalar>& model, const nn::Division& division, std::uint64_t seed)
    : axis_(axis), options_(options), division_(division), model_(model) {
  using Real = nn::Sum<Scalar>;
  std::vector<index_t> bounds = groups<Scalar>(options, model.table(), model.units());
  if (is_sharded(options.strategy)) {
    const ShardedExchangeOptions sharded{sharding(options.strategy), options.how, options.bucket_bytes > 0,
                                         options.progress, options.separate_wait};
    auto made = std::make_unique<ShardedExchange<Scalar>>(
        axis, sharded, model, Shards(model.table(), std::move(bounds), axis.size(), axis.rank()), division, seed);
    sharded_ = made.get();
    exchange_ = std::move(made);
    return;
  }
  flat_ = std::make_unique<nn::FlatGradientSum<Real>>(model.table().size(), model.statistics_table().size(), division);
  if (options.strategy == Strategy::gather_broadcast) {
    auto made = std::make_unique<GatherBroadcastExchange<Scalar>>(axis, options.how, options.separate_wait, model,
                                                                  *flat_, division);
    central_ = made.get();
    exchange_ = std::move(made);
  } else if (options.strategy == Strategy::local_sgd) {
    auto made = std::make_unique<LocalSgdExchange<Scalar>>(
        axis, LocalSgdOptions{options.how, options.local_steps, options.average_state}, model, *flat_, division);
    local_ = made.get();
    exchange_ = std::move(made);
  } else {
    if (options.bucket_bytes == 0)
      bounds.clear();
    else if (flat_->size() > bounds.back())
      bounds.push_back(flat_->size());  // the batch's statistics
    exchange_ = std::make_unique<AllreduceExchange<Scalar>>(
        axis, AllreduceExchangeOptions{options.how, std::move(bounds), options.progress, options.separate_wait},
        model.parameters(), *flat_, division);
  }
}

template <class Scalar>
std::unique_ptr<nn::Update<Scalar>> DataParallel<Scalar>::make_update(const Exec& exec,
                                                                      const nn::UpdateOptions& options) {
  const auto cells = std::ssize(nn::norm_cells(model_.table()));
  std::unique_ptr<nn::Update<Scalar>> update;
  if (sharded_ != nullptr)
    update = std::make_unique<nn::Update<Scalar>>(exec, options, model_, sharded_->ownership(),
                                                  sharded_->updated_weights(), sum_of_squares(axis_, cells));
  else if (central_ != nullptr)
    update = std::make_unique<nn::Update<Scalar>>(exec, options, model_, central_->ownership(model_),
                                                  model_.parameters(), squares_of_root(axis_, cells));
  else
    update = std::make_unique<nn::Update<Scalar>>(exec, options, model_);
  if (local_ != nullptr) local_->attach(*update);
  return update;
}

template <class Scalar>
StrategyBytes strategy_bytes(const DataParallelOptions& options, const nn::Tables& tables,
                             const std::vector<const nn::Unit<Scalar>*>& units, int ranks, int rank,
                             const nn::Division& division, const kernels::OptimizerOptions& rule) {
  using Real = nn::Sum<Scalar>;
  constexpr auto size = static_cast<index_t>(sizeof(Real));
  const index_t n = tables.parameters.size(), statistics = tables.statistics.size();
  if (n > most_counted) return estimate<Scalar>(options, n, statistics, ranks, division, rule);
  const std::vector<kernels::NormCell> cells = nn::norm_cells(tables.parameters);
  const bool deterministic = division.leaves > 0;
  const auto optimizer = [&](std::span<const Range> owned) {
    index_t elements = 0, owned_cells = 0;
    for (const Range& range : owned) elements += range.extent;
    for (const Range& range : nn::cells_of(owned, cells)) owned_cells += range.extent;
    return static_cast<index_t>(nn::Update<Scalar>::bytes(rule, elements, std::ssize(cells), owned_cells));
  };
  const Range all{0, n};
  StrategyBytes bytes;
  bytes.weights = n * static_cast<index_t>(sizeof(Scalar)) + statistics * size;
  bytes.gradients = nn::FlatGradientSum<Real>::bytes(n, statistics, division);
  if (!is_sharded(options.strategy)) {
    const bool updates = options.strategy != Strategy::gather_broadcast || rank == 0;
    bytes.optimizer = optimizer(updates ? std::span<const Range>(&all, 1) : std::span<const Range>());
    if (deterministic && options.strategy != Strategy::local_sgd) bytes.gradients += (n + statistics) * size;
    return bytes;
  }
  const Shards shards(tables.parameters, groups<Scalar>(options, tables.parameters, units), ranks, rank);
  bytes.optimizer = optimizer(shards.ownership(nn::Layout::packed, nn::Layout::packed).ranges);
  if (deterministic)
    bytes.gradients += (shards.size() + statistics) * size;
  else if (options.strategy != Strategy::zero1)
    bytes.gradients = ShardedGradients<Scalar>::bytes(units, shards, statistics);
  if (options.strategy == Strategy::zero3) bytes.weights = GatheredWeights<Scalar>::bytes(shards) + statistics * size;
  return bytes;
}

#define PARTITA_DATA_PARALLEL(Scalar)                                                                  \
  template class DataParallel<Scalar>;                                                                 \
  template StrategyBytes strategy_bytes<Scalar>(const DataParallelOptions&, const nn::Tables&,         \
                                                const std::vector<const nn::Unit<Scalar>*>&, int, int, \
                                                const nn::Division&, const kernels::OptimizerOptions&);
PARTITA_DATA_PARALLEL(float)
PARTITA_DATA_PARALLEL(double)
PARTITA_DATA_PARALLEL(bfloat16)
PARTITA_DATA_PARALLEL(float16)
#undef PARTITA_DATA_PARALLEL

}  // namespace partita::parallel
