// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/norm.hpp>
#include <partita/nn/trainer.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Trainer<Scalar>::Trainer(Model<Scalar>& model, kernels::Context& context, FlatOptimizer<Scalar> optimizer, index_t rows,
                         const TrainerOptions& options)
    : model_(model),
      context_(context),
      optimizer_(std::move(optimizer)),
      options_(options),
      loss_scale_("partita::nn::Trainer::loss_scale"),
      norm_squared_("partita::nn::Trainer::norm_squared") {
  model_.plan(rows);
  if (!scales_loss) options_.loss_scale.initial = 1;
  kernels::loss_scale_start(context.exec(), options_.loss_scale, loss_scale_);
}

template <class Scalar>
void Trainer<Scalar>::step(ConstMatrix<Scalar> x, ConstMatrix<std::int32_t> tokens, ConstVector<std::int32_t> label,
                           Kokkos::View<double, Memory> loss_sum) {
  Call<Scalar> call = model_.call(context_);
  call.tokens = tokens;
  call.step = steps_++;
  const ConstMatrix<Scalar> y = model_.forward(call, 0, x, observer_);
  const std::size_t rows = label.extent(0), V = rows == 0 ? 0 : y.size() / rows;
  const Matrix<Scalar> dy = model_.output_gradient(0, static_cast<index_t>(y.extent(0)));
  const auto scale = scales_loss ? kernels::loss_scale_value(loss_scale_) : Kokkos::View<const double, Memory>();
  kernels::loss_forward_backward<Scalar>(context_, kernels::Loss::cross_entropy, ConstMatrix<Scalar>(y.data(), rows, V),
                                         label, 1 / static_cast<double>(rows), Matrix<Scalar>(dy.data(), rows, V),
                                         loss_sum, scale);
  model_.backward(call, 0, x, model_.gradients(), observer_);
  const Exec& exec = context_.exec();
  if (scales_loss || options_.clip_norm > 0) kernels::norm_squared<Scalar>(context_, model_.gradients(), norm_squared_);
  if (scales_loss)
    kernels::loss_scale_update(exec, options_.loss_scale, norm_squared_, loss_scale_, optimizer_.state());
  if (options_.clip_norm > 0) kernels::optimizer_clip(exec, options_.clip_norm, norm_squared_, optimizer_.state());
  optimizer_.step(exec, model_.gradients(), model_.parameters());
}

template class Trainer<float>;
template class Trainer<double>;
template class Trainer<bfloat16>;
template class Trainer<float16>;

}  // namespace partita::nn
