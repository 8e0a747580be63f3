// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/train_step.hpp>

namespace partita::nn {

template <class Scalar>
void TrainStep<Scalar>::run(const Batch<Scalar>& batch, index_t step, Vector<double> losses,
                            Kokkos::View<double, Memory> norm, Observer& observer) {
  const Exec& exec = context_.exec();
  const auto observed = [&](const Moment& moment, const auto& work) {
    observer.before(moment, {}, exec);
    work();
    observer.after(moment, {}, exec);
  };

  Call<Scalar> call = pass_.model().call(context_, observer, exchange_.weights(exec, step));
  call.seed = seed_;
  call.step = static_cast<std::uint64_t>(step);
  {
    const auto packed = exchange_.pass_of(context_, call.weights);
    pass_.run(call, batch, exchange_, {losses},
              update_ == nullptr ? Kokkos::View<const double, Memory>() : update_->loss_scale());
  }
  observed({.part = Part::exchange, .bytes = exchange_.bytes()}, [&] { exchange_.finish(exec, observer); });
  if (update_ != nullptr)
    observed({.part = Part::update},
             [&] { update_->run(context_, exchange_.gradients(), exchange_.statistics(), norm); });
  exchange_.publish(exec, observer);
  if (update_ != nullptr) exchange_.whole_norm(context_, observer, norm);
}

template class TrainStep<float>;
template class TrainStep<double>;
template class TrainStep<bfloat16>;
template class TrainStep<float16>;

}  // namespace partita::nn
