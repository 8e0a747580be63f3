// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>
#include <vector>

#include <partita/nn/update.hpp>

namespace partita::parallel::server {

/// What a server makes of an update's gradient: new weights of its keys.
template <class Scalar>
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  /// gradient   (keys), the mean over its samples; may be overwritten.
  /// version    Updates that were made before.
  /// staleness  Mean of the gradients that it is made of.
  virtual void apply(kernels::Context& context, Vector<nn::Sum<Scalar>> gradient, index_t version,
                     double staleness) = 0;
  /// Of the last update's gradient: sums of squares of the model's norm cells, 0 for those of other servers. Adding
  /// them up over servers gives the whole norm. Empty: nobody knows it.
  virtual std::span<const double> squares() const { return {}; }
  /// What it keeps from one update to the next; null: nothing but the weights.
  virtual const nn::Update<Scalar>* keeper() const { return nullptr; }
};

/// The training step's nn::Update on a server's keys.
template <class Scalar>
class OptimizerRule final : public UpdateRule<Scalar> {
 public:
  /// keys      Of the flat weights; no norm cell crosses a bound (key_ranges).
  /// weights   (keys): these alone, updated in place.
  /// rate      The learning rate of the update that follows so many others.
  /// by_staleness  Divides the rate by the staleness, where that is above 1 (Zhang et al., IJCAI 2016).
  /// Clipping needs the whole norm: one server alone.
  OptimizerRule(const Exec& exec, const nn::UpdateOptions& options, const nn::Model<Scalar>& model, Range keys,
                Vector<Scalar> weights, std::function<double(index_t)> rate, bool by_staleness);

  void apply(kernels::Context& context, Vector<nn::Sum<Scalar>> gradient, index_t version, double staleness) override;
  std::span<const double> squares() const override { return squares_; }
  const nn::Update<Scalar>* keeper() const override { return &update_; }

 private:
  std::function<double(index_t)> rate_;
  bool by_staleness_;
  double set_rate_;
  Vector<double> device_squares_;
  std::vector<double> squares_;
  nn::Update<Scalar> update_;
  Kokkos::View<double, Memory> norm_;
};

/// Elastic averaging: centre += what workers have moved towards it.
template <class Scalar>
class ElasticRule final : public UpdateRule<Scalar> {
 public:
  explicit ElasticRule(Vector<Scalar> centre) : centre_(centre) {}
  void apply(kernels::Context& context, Vector<nn::Sum<Scalar>> difference, index_t version, double staleness) override;

 private:
  Vector<Scalar> centre_;
};

/// The norm of a gradient whose squares several servers have added up: as nn::Update has it, bit for bit.
double norm_of_squares(const Exec& exec, std::span<const double> squares);

}  // namespace partita::parallel::server
