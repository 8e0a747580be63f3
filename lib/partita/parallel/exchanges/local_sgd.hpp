// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/nn/update.hpp>
#include <partita/parallel/completion.hpp>

namespace partita::parallel {

struct LocalSgdOptions {
  comm::Allreduce how = comm::Allreduce::mpi;
  index_t every = 1;           ///< H: steps from one average to the next
  bool average_state = false;  ///< the optimizer's buffers, too; else each rank goes on with its own
};

/// Local SGD: every rank updates weights of its own by the mean gradient of its own rows; after every H-th step the
/// weights are averaged, each rank's weighted by its rows.
///
///     w_r <- optimizer(w_r, 1/b_r sum_{b of rank r} dloss/dw)      w = sum_r b_r/B w_r     after H steps
///
/// Weights of 16 bits are averaged as master weights. Running statistics are averaged with the weights. Deterministic
/// mode means the same bits on the same number of ranks. The norm of a step is that of this rank's own gradient.
///
/// Traffic  "allreduce" of n weights (and n or 2 n numbers of state) in fp32 every H steps.
/// Source   S. U. Stich, Local SGD converges fast and communicates little, ICLR 2019.
template <class Scalar>
class LocalSgdExchange final : public nn::Exchange<Scalar> {
 public:
  using Real = nn::Sum<Scalar>;

  /// All that is referred to must outlive this. Not collective, but in order.
  LocalSgdExchange(const comm::Communicator& axis, const LocalSgdOptions& options, nn::Model<Scalar>& model,
                   const nn::FlatGradientSum<Real>& sum, const nn::Division& division);

  /// Whose state is averaged; to be called once, before the first step.
  void attach(const nn::Update<Scalar>& update);

  const nn::Window<const Scalar>& weights(const Exec&, index_t step) override {
    step_ = step;
    return weights_;
  }
  void ready(const Exec&, Range range) override {
    complete_.add(range, [](int) {});
  }
  void finish(const Exec& exec, nn::Observer& observer) override;
  ConstVector<Real> gradients() const override { return sum_.weights_of(sum_.node(0)); }
  ConstVector<Real> statistics() const override { return sum_.statistics_of(sum_.node(0)); }
  void publish(const Exec& exec, nn::Observer& observer) override;

 private:
  struct Averaged {
    Vector<Real> values;
    std::unique_ptr<comm::AllreducePlan<Real>> plan;
  };
  void add(Vector<Real> values);

  const comm::Communicator& axis_;
  LocalSgdOptions options_;
  double share_;  // of the batch's rows
  Vector<Scalar> parameters_;
  Vector<Real> running_, master_;
  nn::Window<const Scalar> weights_;
  const nn::FlatGradientSum<Real>& sum_;
  Completion complete_;
  std::vector<Averaged> averages_;
  index_t step_ = 0;
};

}  // namespace partita::parallel
