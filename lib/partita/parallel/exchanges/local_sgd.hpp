// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/nn/update.hpp>
#include <partita/parallel/completion.hpp>

namespace partita::parallel {

/// At which steps the norm of the ranks' mean gradient is made.
enum class MeanNorm {
  never,
  average,  ///< where weights are averaged
  always
};

struct LocalSgdOptions {
  comm::Allreduce how = comm::Allreduce::mpi;
  index_t every = 1;           ///< H: steps from one average to the next
  bool average_state = false;  ///< the optimizer's buffers, too; else each rank goes on with its own
  MeanNorm mean_norm = MeanNorm::average;
};

/// Local SGD: every rank updates weights of its own by the mean gradient of its own rows; after every H-th step the
/// weights are averaged, each rank's weighted by its rows.
///
///     w_r <- optimizer(w_r, 1/b_r sum_{b of rank r} dloss/dw)      w = sum_r b_r/B w_r     after H steps
///
/// Weights of 16 bits are averaged as master weights. Running statistics are averaged with the weights. Deterministic
/// mode means the same bits on the same number of ranks.
///
/// The norm of a step is that of the mean gradient, |sum_r b_r/B g_r|, each at its rank's weights. It takes the sum of
/// all gradients, which local SGD does without: so it is made at those steps that MeanNorm says, after the update and
/// in the gradient's own memory, and is NaN at others. What clips is a rank's own norm.
///
/// Traffic  "allreduce" of n weights (and n or 2 n numbers of state) in fp32 every H steps; "norm_allreduce" of n
///          gradients at the steps of MeanNorm. Neither on one rank.
/// Source   S. U. Stich, Local SGD converges fast and communicates little, ICLR 2019.
template <class Scalar>
class LocalSgdExchange final : public nn::Exchange<Scalar> {
 public:
  using Real = nn::Sum<Scalar>;

  /// All that is referred to must outlive this. Not collective, but in order.
  LocalSgdExchange(const comm::Communicator& axis, const LocalSgdOptions& options, nn::Model<Scalar>& model,
                   const nn::FlatGradientSum<Real>& sum, const nn::Division& division);

  /// Whose state is averaged, and what makes norms; it must outlive the steps. To be called once, before the first one.
  void attach(const nn::Update<Scalar>& update);

  const nn::Window<const Scalar>& weights(const Exec&, index_t step) override {
    step_ = step;
    return weights_;
  }
  bool weights_stay() const override { return true; }
  void ready(const Exec&, Range range) override {
    complete_.add(range, [](int) {});
  }
  void finish(const Exec& exec, nn::Observer& observer) override;
  ConstVector<Real> gradients() const override { return sum_.weights_of(sum_.node(0)); }
  ConstVector<Real> statistics() const override { return sum_.statistics_of(sum_.node(0)); }
  void publish(const Exec& exec, nn::Observer& observer) override;
  void whole_norm(kernels::Context& context, nn::Observer& observer, const Kokkos::View<double, Memory>& norm) override;

 private:
  struct Averaged {
    Vector<Real> values;
    std::unique_ptr<comm::AllreducePlan<Real>> plan;
  };
  void add(Vector<Real> values);
  bool averages_now() const { return (step_ + 1) % options_.every == 0; }

  const comm::Communicator& axis_;
  LocalSgdOptions options_;
  double share_;  // of the batch's rows
  Vector<Scalar> parameters_;
  Vector<Real> running_, master_;
  nn::Window<const Scalar> weights_;
  const nn::FlatGradientSum<Real>& sum_;
  Completion complete_;
  std::vector<Averaged> averages_;
  std::unique_ptr<comm::AllreducePlan<Real>> norm_plan_;  // null: no norm of the mean
  const nn::Update<Scalar>* update_ = nullptr;
  index_t step_ = 0;
};

}  // namespace partita::parallel
