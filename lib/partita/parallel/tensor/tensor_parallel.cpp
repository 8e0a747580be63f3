// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/tensor_parallel.hpp>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/nn/units/token_norm.hpp>

namespace partita::parallel {

template <class Scalar>
std::vector<Range> partial_ranges(const nn::Model<Scalar>& model, const TensorAxis<Scalar>& axis) {
  std::vector<Range> ranges;
  if (!axis.options().sequence || axis.options().deterministic || axis.ranks().size() == 1) return ranges;
  for (const nn::Unit<Scalar>* unit : model.units())
    if (dynamic_cast<const nn::TokenNorm<Scalar>*>(unit) != nullptr)
      ranges.insert(ranges.end(), unit->ranges().begin(), unit->ranges().end());
  return ranges;
}

template <class Scalar>
TensorParallel<Scalar>::TensorParallel(const comm::Communicator& replicas, TensorAxis<Scalar>& axis,
                                       const DataParallelOptions& options, nn::Model<Scalar>& model,
                                       const nn::ParameterTable& whole, const nn::Division& division,
                                       std::uint64_t seed)
    : replicas_(replicas, options, model, division, seed) {
  if (axis.ranks().size() == 1) return;
  if (options.strategy != Strategy::allreduce)
    refuse<UsageError>("tensor parallelism", std::string(name_of(strategies, options.strategy)),
                       "parallel.strategy = \"allreduce\" where the model is split");
  if (axis.options().deterministic && !model.tables().cut())
    refuse<UsageError>("tensor parallelism", "deterministic sums of a model whose sums are not cut",
                       "at least as many leaves as ranks");
  // What all ranks hold counts once, as the first one's.
  replicas_.complete_with(split_squares(
      axis.ranks(), model.table(), axis.options().deterministic ? &whole : nullptr,
      [&](const nn::Parameter& parameter) { return axis.ranks().is_root() || !is_replicated(parameter); }));
  exchange_.emplace(replicas_.exchange(), axis, replicas_.flat_gradient(), partial_ranges(model, axis));
}

#define PARTITA_TENSOR_PARALLEL(S)  \
  template class TensorParallel<S>; \
  template std::vector<Range> partial_ranges(const nn::Model<S>&, const TensorAxis<S>&);
PARTITA_TENSOR_PARALLEL(float)
PARTITA_TENSOR_PARALLEL(double)
PARTITA_TENSOR_PARALLEL(bfloat16)
PARTITA_TENSOR_PARALLEL(float16)
#undef PARTITA_TENSOR_PARALLEL

}  // namespace partita::parallel
