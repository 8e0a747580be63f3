// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include <partita/kernels/context.hpp>
#include <partita/nn/gradient_sum.hpp>
#include <partita/nn/observer.hpp>
#include <partita/nn/progress.hpp>
#include <partita/nn/window.hpp>

namespace partita::nn {

/// Seconds of an exchange that goes on while a step computes, on the host's clock.
///
///     exposed   the step waits, or serves messages
///     hidden    something is in flight, and the step does something else
///
/// Together: the time in which anything is in flight.
struct OverlapTime {
  double exposed_s = 0;
  double hidden_s = 0;
};

/// Bytes that an exchange has allocated for weights and for gradients, beside the model and messages on their way.
struct ExchangeBytes {
  index_t weights = 0;
  index_t gradients = 0;
};

/// Whose weights a step reads, what becomes of a gradient that is complete here, and which ranges this rank updates.
template <class Scalar>
class Exchange : public Progress {
 public:
  /// The weights that the pass of a step reads, in training, evaluation and inference: its own, pulled, or stashed
  /// ones. The reference stays good for the step; what it refers to may move, as Progress::reading says.
  virtual const Window<const Scalar>& weights(const Exec& exec, index_t step) = 0;
  /// Whether that window stays where it is, and the weights in it as they are, until finish(): of an exchange whose
  /// reading() moves nothing.
  virtual bool weights_stay() const { return false; }
  /// To be held during a pass that reads `window`, which is weights(): where they stay, kernels pack them once for all
  /// micro-batches.
  kernels::PackedWeights::Period pass_of(kernels::Context& context, const Window<const Scalar>& window) const {
    return {context.packed_weights(), weights_stay() ? window.data : nullptr,
            static_cast<std::size_t>(window.range.extent) * sizeof(Scalar)};
  }
  /// Whether reading() is collective: ranks then do the same passes, micro-batch by micro-batch.
  virtual bool reads_together() const { return false; }
  /// After the pass: sees to it that gradients() and statistics() are those of the global batch. Collective where ranks
  /// share it.
  virtual void finish(const Exec& exec, Observer& observer) = 0;
  /// Bytes that finish() hands in: what its moment says.
  virtual index_t bytes() const { return 0; }
  virtual ExchangeBytes allocated() const { return {}; }
  /// Summed gradients, complete after finish on the owned ranges and laid out as Ownership::gradients says.
  virtual ConstVector<Sum<Scalar>> gradients() const = 0;
  /// The batch's statistics, all of them, complete after finish.
  virtual ConstVector<Sum<Scalar>> statistics() const = 0;
  /// After the update: what others must learn of it.
  virtual void publish(const Exec& /*exec*/, Observer& /*observer*/) {}
  /// After publish: where the gradient that this rank updated by is not the global batch's, overwrites what the update
  /// left in `norm` by the norm of that, or by NaN where nobody knows it. gradients() are then of no use any more.
  virtual void whole_norm(kernels::Context& /*context*/, Observer& /*observer*/,
                          const Kokkos::View<double, Memory>& /*norm*/) {}
  /// Since the last look; nothing where an exchange does not overlap.
  virtual OverlapTime take_overlap() { return {}; }

  /// Hands the whole model's weights, as the next step would read them, to `visit`: range by range, ascending, without
  /// a gap. Collective where ranks share the weights; may allocate and fence: not for a timed step.
  virtual void visit_weights(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) {
    const Window<const Scalar>& all = weights(exec, 0);
    visit(all.vector(all.range));
  }
};

/// An exchange around another one, which it leaves to do all that it does not do itself.
template <class Scalar>
class ExchangeAround : public Exchange<Scalar> {
 public:
  /// `inner` must outlive this.
  explicit ExchangeAround(Exchange<Scalar>& inner) : inner_(inner) {}

  const Window<const Scalar>& weights(const Exec& exec, index_t step) override { return inner_.weights(exec, step); }
  bool weights_stay() const override { return inner_.weights_stay(); }
  bool reads_together() const override { return inner_.reads_together(); }
  void reading(const Exec& exec, const Moment& moment, std::span<const Range> reads, Observer& observer) override {
    inner_.reading(exec, moment, reads, observer);
  }
  void read(const Exec& exec, const Moment& moment) override { inner_.read(exec, moment); }
  void ready(const Exec& exec, Range range) override { inner_.ready(exec, range); }
  void progress() override { inner_.progress(); }
  void finish(const Exec& exec, Observer& observer) override { inner_.finish(exec, observer); }
  index_t bytes() const override { return inner_.bytes(); }
  ExchangeBytes allocated() const override { return inner_.allocated(); }
  ConstVector<Sum<Scalar>> gradients() const override { return inner_.gradients(); }
  ConstVector<Sum<Scalar>> statistics() const override { return inner_.statistics(); }
  void publish(const Exec& exec, Observer& observer) override { inner_.publish(exec, observer); }
  void whole_norm(kernels::Context& context, Observer& observer, const Kokkos::View<double, Memory>& norm) override {
    inner_.whole_norm(context, observer, norm);
  }
  OverlapTime take_overlap() override { return inner_.take_overlap(); }
  void visit_weights(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) override {
    inner_.visit_weights(exec, visit);
  }

 private:
  Exchange<Scalar>& inner_;
};

/// One rank alone: nothing is exchanged.
template <class Scalar>
class NoExchange final : public Exchange<Scalar> {
 public:
  NoExchange(ConstVector<Scalar> parameters, const FlatGradientSum<Sum<Scalar>>& sum)
      : weights_(parameters), sum_(sum) {}

  const Window<const Scalar>& weights(const Exec&, index_t) override { return weights_; }
  bool weights_stay() const override { return true; }
  void finish(const Exec&, Observer&) override {}
  ConstVector<Sum<Scalar>> gradients() const override { return sum_.weights_of(sum_.node(0)); }
  ConstVector<Sum<Scalar>> statistics() const override { return sum_.statistics_of(sum_.node(0)); }

 private:
  Window<const Scalar> weights_;
  const FlatGradientSum<Sum<Scalar>>& sum_;
};

}  // namespace partita::nn
