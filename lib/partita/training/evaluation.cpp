// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/evaluation.hpp>

#include <vector>

#include <partita/core/partition.hpp>

namespace partita::training {
template <class Scalar>
Evaluation<Scalar>::Evaluation(nn::Model<Scalar>& model, const nn::LossHead<Scalar>& head, const Dataset& data,
                               const parallel::Pipeline<Scalar>* pipeline, index_t rows)
    : model_(model),
      data_(data),
      rows_(std::min(rows, data.held_out_samples())),
      buffers_(data.allocate<Scalar>(rows_)),
      pipeline_(pipeline),
      whole_(make_pass(head, rows_)),
      loss_("partita::training::Evaluation::loss", 1),
      correct_("partita::training::Evaluation::correct", 1) {
  if (const index_t left = data.held_out_samples() % rows_; left > 0) rest_ = make_pass(head, left);
}

template <class Scalar>
typename Evaluation<Scalar>::Pass Evaluation<Scalar>::make_pass(const nn::LossHead<Scalar>& head, index_t rows) const {
  const nn::Division division = nn::divide(rows, 1, 0, 1, 0);
  const nn::Actions actions =
      pipeline_ == nullptr ? nn::forward_only(1, model_.stage_count()) : pipeline_->forward_actions(1);
  Pass pass;
  pass.links =
      pipeline_ == nullptr ? std::make_unique<nn::Links<Scalar>>(model_) : pipeline_->forward_links(actions, division);
  pass.forward = std::make_unique<nn::GradientPass<Scalar>>(model_, division, actions, head, nullptr, pass.links.get());
  return pass;
}

template <class Scalar>
typename Evaluation<Scalar>::BlockSum Evaluation<Scalar>::block(kernels::Context& context,
                                                                nn::Exchange<Scalar>& exchange, index_t step,
                                                                index_t first, index_t rows) const {
  const Exec& exec = context.exec();
  const Rows<Scalar> part = buffers_.top(rows);
  if (model_.has_first_stage() || model_.has_last_stage()) data_.held_out<Scalar>(exec, first, part);
  nn::Observer nobody;
  nn::Call<Scalar> call = model_.call(context, nobody, exchange.weights(exec, step));
  call.training = false;
  (rows == rows_ ? whole_ : rest_).forward->run(call, part.batch(), exchange, {loss_, correct_});
  BlockSum sum{};
  Kokkos::deep_copy(exec, Kokkos::View<double*, Kokkos::HostSpace>(&sum.loss, 1), loss_);
  Kokkos::deep_copy(exec, Kokkos::View<index_t*, Kokkos::HostSpace>(&sum.correct, 1), correct_);
  exec.fence("partita::training::Evaluation: the sums are on the host");
  return sum;
}

template <class Scalar>
EvaluationResult Evaluation<Scalar>::run(kernels::Context& context, nn::Exchange<Scalar>& exchange, index_t step,
                                         const comm::Communicator& axis, const driver::Stop& stop) const {
  const index_t samples = data_.held_out_samples();
  const index_t count = (samples + rows_ - 1) / rows_;
  const Slice blocks = partition(count, axis.size(), axis.rank());
  const index_t most = partition(count, axis.size(), 0).extent;  // all ranks ask as often as the first
  std::vector<BlockSum> mine;
  for (index_t k = 0; k < most; ++k) {
    const index_t first = (blocks.offset + k) * rows_;
    if (k < blocks.extent)
      mine.push_back(block(context, exchange, step, first, std::min(rows_, samples - first)));
    else if (exchange.reads_together())
      block(context, exchange, step, 0, rows_);  // for the others' sake: counts nowhere
    if (stop()) return {};
  }
  BlockSum total{};
  for (const BlockSum& sum : axis.allgather(std::span<const BlockSum>(mine))) {
    total.loss += sum.loss;
    total.correct += sum.correct;
  }
  if (pipeline_ != nullptr) pipeline_->from_last_stage(total);
  const auto labels = static_cast<double>(data_.held_out_labels());
  return {total.loss / labels, static_cast<double>(total.correct) / labels};
}

template class Evaluation<float>;
template class Evaluation<bfloat16>;
template class Evaluation<float16>;

}  // namespace partita::training
