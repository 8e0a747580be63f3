// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>

#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/tensor/exchange.hpp>

namespace partita::parallel {

/// The parts of a training step of a model that is split over the ranks of an axis, replicas of which share the rows of
/// each batch: a data-parallel all-reduce of what this rank holds, sums of the partial gradients of sequence mode, and
/// a norm in which all of the model counts once.
template <class Scalar>
class TensorParallel {
 public:
  /// The units of `model` were made with TensorBetween(axis); `whole` is the table of the unsplit model.
  /// All but `whole` that is referred to must outlive this. Not collective, but in order.
  /// Throws   UsageError for another strategy than all-reduce where the model is split.
  TensorParallel(const comm::Communicator& replicas, TensorAxis<Scalar>& axis, const DataParallelOptions& options,
                 nn::Model<Scalar>& model, const nn::ParameterTable& whole, const nn::Division& division,
                 std::uint64_t seed);

  nn::GradientSum<nn::Sum<Scalar>>& sum() { return replicas_.sum(); }
  nn::Exchange<Scalar>& exchange() { return exchange_ ? *exchange_ : replicas_.exchange(); }
  /// To be called once.
  std::unique_ptr<nn::Update<Scalar>> make_update(const Exec& exec, const nn::UpdateOptions& options) {
    return replicas_.make_update(exec, options);
  }
  /// Of this rank: what is allocated, and by the closed form.
  StrategyBytes allocated(const nn::Update<Scalar>& update) const { return replicas_.allocated(update); }
  StrategyBytes bytes(const kernels::OptimizerOptions& rule) const { return replicas_.bytes(rule); }

 private:
  DataParallel<Scalar> replicas_;
  std::optional<TensorExchange<Scalar>> exchange_;
};

/// Ranges of the flat gradient that are parts of sums over the axis: gamma and beta of norms that work on some of the
/// tokens, in fast mode.
template <class Scalar>
std::vector<Range> partial_ranges(const nn::Model<Scalar>& model, const TensorAxis<Scalar>& axis);

}  // namespace partita::parallel
