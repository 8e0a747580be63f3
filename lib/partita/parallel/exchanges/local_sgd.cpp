// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/local_sgd.hpp>

#include <limits>
#include <utility>

#include <partita/core/float16.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel {

template <class Scalar>
LocalSgdExchange<Scalar>::LocalSgdExchange(const comm::Communicator& axis, const LocalSgdOptions& options,
                                           nn::Model<Scalar>& model, const nn::FlatGradientSum<Real>& sum,
                                           const nn::Division& division)
    : axis_(axis),
      options_(options),
      share_(static_cast<double>(division.rows.extent) / static_cast<double>(division.batch())),
      parameters_(model.parameters()),
      running_(model.running()),
      weights_(ConstVector<Scalar>(model.parameters())),
      sum_(sum),
      complete_(Cuts({0, sum.size()})) {
  if (axis.size() > 1 && options.mean_norm != MeanNorm::never)
    norm_plan_ =
        std::make_unique<comm::AllreducePlan<Real>>(axis, options.how, static_cast<index_t>(parameters_.extent(0)),
                                                    comm::RingOptions(), comm::Op::sum, "norm_allreduce");
}

template <class Scalar>
void LocalSgdExchange<Scalar>::add(Vector<Real> values) {
  if (values.extent(0) == 0) return;
  auto plan = std::make_unique<comm::AllreducePlan<Real>>(axis_, options_.how, static_cast<index_t>(values.extent(0)));
  averages_.push_back({values, std::move(plan)});
}

template <class Scalar>
void LocalSgdExchange<Scalar>::attach(const nn::Update<Scalar>& update) {
  update_ = &update;
  if constexpr (std::is_same_v<Scalar, Real>)
    add(parameters_);
  else
    add(master_ = update.master());
  add(running_);
  if (!options_.average_state) return;
  add(update.m());
  add(update.v());
}

// The gradient weighs a row by 1/B: my own mean weighs it by 1/b_r. Tree nodes are joined in their order.
template <class Scalar>
void LocalSgdExchange<Scalar>::finish(const Exec& exec, nn::Observer&) {
  complete_.require_all();
  complete_.restart();
  for (index_t k = 1; k < sum_.nodes(); ++k) kernels::add<Real>(exec, sum_.node(k), sum_.node(0));
  kernels::scale<Real>(exec, static_cast<Real>(1 / share_), sum_.node(0));
}

template <class Scalar>
void LocalSgdExchange<Scalar>::publish(const Exec& exec, nn::Observer& observer) {
  if (!averages_now()) return;
  nn::Moment moment{.part = nn::Part::exchange};
  for (const Averaged& averaged : averages_)
    moment.bytes += static_cast<index_t>(averaged.values.extent(0) * sizeof(Real));
  observer.before(moment, {}, exec);
  for (const Averaged& averaged : averages_) {
    kernels::scale<Real>(exec, static_cast<Real>(share_), averaged.values);
    averaged.plan->run(exec, averaged.values);
  }
  if constexpr (!std::is_same_v<Scalar, Real>) kernels::cast<Scalar, Real>(exec, master_, parameters_);
  observer.after(moment, {}, exec);
}

// By then nobody needs the gradient: my mean becomes my share of everybody's.
template <class Scalar>
void LocalSgdExchange<Scalar>::whole_norm(kernels::Context& context, nn::Observer& observer,
                                          const Kokkos::View<double, Memory>& norm) {
  if (axis_.size() == 1) return;
  const Exec& exec = context.exec();
  if (!norm_plan_ || (options_.mean_norm == MeanNorm::average && !averages_now()))
    return kernels::fill<double>(exec, std::numeric_limits<double>::quiet_NaN(), Vector<double>(norm.data(), 1));
  const Vector<Real> mean = part(sum_.node(0), {0, static_cast<index_t>(parameters_.extent(0))});
  const nn::Moment moment{.part = nn::Part::exchange, .bytes = static_cast<index_t>(mean.extent(0) * sizeof(Real))};
  observer.before(moment, {}, exec);
  update_->unscale(exec, share_, mean);
  norm_plan_->run(exec, mean);
  update_->norm(context, mean, norm);
  observer.after(moment, {}, exec);
}

template class LocalSgdExchange<float>;
template class LocalSgdExchange<double>;
template class LocalSgdExchange<bfloat16>;
template class LocalSgdExchange<float16>;

}  // namespace partita::parallel
