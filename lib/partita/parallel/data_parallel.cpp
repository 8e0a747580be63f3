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
Cuts groups(const DataParallelOptions& options, const nn::ParameterTable& table,
            const std::vector<const nn::Unit<Scalar>*>& units) {
  const index_t elements = options.bucket_bytes / static_cast<index_t>(sizeof(nn::Sum<Scalar>));
  if (options.strategy == Strategy::zero2 || options.strategy == Strategy::zero3)
    return unit_groups<Scalar>(table, units, elements);
  return options.bucket_bytes == 0 ? Cuts({0, table.size()}) : even_groups(table, elements);
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
    : axis_(axis),
      options_(options),
      division_(division),
      model_(model),
      owned_(nn::everything(model.table())),
      updated_(model.parameters()) {
  using Real = nn::Sum<Scalar>;
  const auto cells = std::ssize(nn::norm_cells(model.table()));
  const auto keep = [&](auto exchange) {
    auto& made = *exchange;
    exchange_ = std::move(exchange);
    return &made;
  };
  if (is_sharded(options.strategy)) {
    const ShardedExchangeOptions how{sharding(options.strategy), options.how, options.bucket_bytes > 0,
                                     options.progress, options.separate_wait};
    Shards shards(model.table(), groups<Scalar>(options, model.table(), model.units()), axis.size(), axis.rank());
    auto* const made =
        keep(std::make_unique<ShardedExchange<Scalar>>(axis, how, model, std::move(shards), division, seed));
    sum_ = &made->sum();
    owned_ = made->ownership();
    updated_ = made->updated_weights();
    complete_ = sum_of_squares(axis, cells);
    return;
  }
  flat_ = std::make_unique<nn::FlatGradientSum<Real>>(model.table().size(), model.statistics_table().size(), division);
  sum_ = flat_.get();
  if (options.strategy == Strategy::gather_broadcast) {
    auto* const made = keep(std::make_unique<GatherBroadcastExchange<Scalar>>(axis, options.how, options.separate_wait,
                                                                              model, *flat_, division));
    owned_ = made->ownership(model);
    complete_ = squares_of_root(axis, cells);
  } else if (options.strategy == Strategy::local_sgd) {
    local_ = keep(std::make_unique<LocalSgdExchange<Scalar>>(
        axis, LocalSgdOptions{options.how, options.local_steps, options.average_state, options.mean_norm}, model,
        *flat_, division));
  } else {
    std::vector<index_t> buckets;
    if (options.bucket_bytes > 0) {
      buckets = groups<Scalar>(options, model.table(), model.units()).bounds();
      if (flat_->size() > buckets.back()) buckets.push_back(flat_->size());  // the batch's statistics
    }
    keep(std::make_unique<AllreduceExchange<Scalar>>(
        axis, AllreduceExchangeOptions{options.how, std::move(buckets), options.progress, options.separate_wait},
        model.parameters(), *flat_, division));
  }
}

template <class Scalar>
std::unique_ptr<nn::Update<Scalar>> DataParallel<Scalar>::make_update(const Exec& exec,
                                                                      const nn::UpdateOptions& options) {
  auto update = std::make_unique<nn::Update<Scalar>>(exec, options, model_, owned_, updated_, complete_);
  if (local_ != nullptr) local_->attach(*update);
  return update;
}

template <class Scalar>
void DataParallel<Scalar>::leave_out(Range copy) {
  const index_t end = model_.table().size();
  owned_.ranges.clear();
  for (const Range& range : {Range{0, copy.offset}, Range{copy.end(), end - copy.end()}})
    if (range.extent > 0) owned_.ranges.push_back(range);
  leaves_out_ = true;
}

template <class Scalar>
StrategyBytes DataParallel<Scalar>::bytes(const kernels::OptimizerOptions& rule) const {
  StrategyBytes bytes =
      strategy_bytes<Scalar>(options_, model_.tables(), model_.units(), axis_.size(), axis_.rank(), division_, rule);
  if (!leaves_out_) return bytes;
  const std::vector<kernels::NormCell> cells = nn::norm_cells(model_.table());
  index_t owned = 0;
  for (const Range& range : nn::cells_of(owned_.ranges, cells)) owned += range.extent;
  bytes.optimizer = static_cast<index_t>(nn::Update<Scalar>::bytes(rule, owned_.size(), std::ssize(cells), owned));
  return bytes;
}

template <class Scalar>
StrategyBytes DataParallel<Scalar>::allocated(const nn::Update<Scalar>& update) const {
  const nn::ExchangeBytes more = exchange_->allocated();
  return {.weights = nn::bytes_of(model_.parameters(), model_.running()) + more.weights,
          .gradients = (flat_ ? flat_->allocated() : 0) + more.gradients,
          .optimizer = update.allocated()};
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
