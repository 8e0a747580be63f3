// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/cast.hpp>
#include <partita/kernels/statistics.hpp>
#include <partita/nn/norm_cells.hpp>
#include <partita/nn/update.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Update<Scalar>::Update(const Exec& exec, const UpdateOptions& options, const Model<Scalar>& model, NormSum norm_sum)
    : options_(options),
      norm_sum_(std::move(norm_sum)),
      parameters_(model.parameters()),
      running_(model.running()),
      state_("partita::nn::Update::state"),
      loss_scale_("partita::nn::Update::loss_scale"),
      sum_("partita::nn::Update::sum") {
  const std::size_t n = parameters_.extent(0);
  if (kernels::optimizer_needs_m(options.optimizer)) m_ = Vector<Sum<Scalar>>("partita::nn::Update::m", n);
  if (kernels::optimizer_needs_v(options.optimizer)) v_ = Vector<Sum<Scalar>>("partita::nn::Update::v", n);
  if constexpr (has_master) {
    master_ = Vector<Sum<Scalar>>("partita::nn::Update::master", n);
    kernels::cast<Sum<Scalar>, Scalar>(exec, parameters_, master_);
  }
  const std::vector<kernels::NormCell> cells = norm_cells(model.table());
  cells_ = Kokkos::View<kernels::NormCell*, Memory>("partita::nn::Update::cells", cells.size());
  squares_ = Vector<double>("partita::nn::Update::squares", cells.size());
  Kokkos::deep_copy(cells_, Kokkos::View<const kernels::NormCell*, Kokkos::HostSpace>(cells.data(), cells.size()));
  kernels::loss_scale_start(exec, options_.loss_scale, loss_scale_);
  set_learning_rate(exec, options_.learning_rate);
}

template <class Scalar>
void Update<Scalar>::set_learning_rate(const Exec& exec, double rate) const {
  kernels::optimizer_set_learning_rate(exec, rate, state_);
}

template <class Scalar>
Kokkos::View<const double, Memory> Update<Scalar>::loss_scale() const {
  if constexpr (scales_loss)
    return kernels::loss_scale_value(loss_scale_);
  else
    return {};
}

template <class Scalar>
void Update<Scalar>::run(kernels::Context& context, ConstVector<Sum<Scalar>> gradients,
                         Kokkos::View<double, Memory> norm) const {
  const Exec& exec = context.exec();
  const std::size_t n = parameters_.extent(0);
  const ConstVector<Sum<Scalar>> weights(gradients.data(), n);
  const ConstVector<Sum<Scalar>> statistics(gradients.data() + n, running_.extent(0));

  kernels::norm_squared<Sum<Scalar>>(context, cells_, weights, squares_);
  kernels::norm_total(exec, squares_, sum_);
  if (norm_sum_) norm_sum_(exec, sum_);
  if constexpr (scales_loss) kernels::loss_scale_update(exec, options_.loss_scale, sum_, loss_scale_, state_);
  if (options_.clip_norm > 0) kernels::optimizer_clip(exec, options_.clip_norm, sum_, state_);
  kernels::gradient_norm(exec, sum_, state_, norm);

  kernels::optimizer_advance(exec, options_.optimizer, state_);
  if constexpr (has_master)
    kernels::optimizer_update<Scalar>(exec, options_.optimizer, state_, weights, master_, m_, v_, parameters_);
  else
    kernels::optimizer_update<Scalar>(exec, options_.optimizer, state_, weights, parameters_, m_, v_);
  if (running_.extent(0) > 0)
    kernels::statistics_update<Sum<Scalar>>(exec, options_.momentum, state_, statistics, running_);
}

template <class Scalar>
std::size_t Update<Scalar>::bytes(const kernels::OptimizerOptions& optimizer, index_t parameters, index_t cells) {
  const index_t buffers = kernels::optimizer_buffers(optimizer) + (has_master ? 1 : 0);
  return static_cast<std::size_t>(buffers * parameters) * sizeof(Sum<Scalar>) +
         static_cast<std::size_t>(cells) * (sizeof(kernels::NormCell) + sizeof(double)) +
         sizeof(kernels::OptimizerState) + sizeof(kernels::LossScaleState) + sizeof(double);
}

template class Update<float>;
template class Update<double>;
template class Update<bfloat16>;
template class Update<float16>;

}  // namespace partita::nn
