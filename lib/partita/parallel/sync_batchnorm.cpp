// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/sync_batchnorm.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::parallel {

using nn::Half;
using nn::Part;

template <class Real>
void BatchNormAxis::run(Plans<Real>& plans, const Exec& exec, Vector<Real> inout) {
  const auto n = static_cast<index_t>(inout.extent(0));
  auto found = plans.find(n);
  if (found == plans.end())
    found = plans
                .emplace(n, std::make_unique<comm::AllreducePlan<Real>>(ranks_, how_, n, comm::RingOptions(),
                                                                        comm::Op::sum, "sync_batchnorm"))
                .first;
  found->second->run(exec, inout);
}

template <class Scalar>
SyncBatchNorm<Scalar>::SyncBatchNorm(nn::Tables& tables, const std::string& name, const nn::Image& image, bool relu,
                                     BatchNormAxis& axis, double share)
    : nn::Unit<Scalar>(name + ".all-reduce", image.size(), image.size()),
      axis_(axis),
      norm_(std::make_unique<nn::BatchNorm2d<Scalar>>(tables, name, image, relu, share)) {
  if (tables.cut())
    refuse<UsageError>(name, fmt::format("statistics of all ranks, and sums in {} chunks", tables.chunks),
                       "statistics of a chunk in deterministic mode");
}

template <class Scalar>
nn::Footprint SyncBatchNorm<Scalar>::footprint(index_t B) const {
  nn::Cutter saved, workspace;
  saved.skip(norm_->footprint(B).saved);
  saved.vector<double>(1);
  workspace.vector<double>(2 * norm_->channels() + 1);
  return {.saved = saved.used(), .workspace = workspace.used()};
}

template <class Scalar>
void SyncBatchNorm<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*norm_);
  f(*this);
}

template <class Scalar>
Vector<double> SyncBatchNorm<Scalar>::saved_rows(const nn::Call<Scalar>& call) const {
  nn::Cutter saved(call.saved);
  saved.skip(norm_->footprint(0).saved);
  return saved.vector<double>(1);
}

template <class Scalar>
void SyncBatchNorm<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  if (!call.training) return norm_->forward(call, x, y);
  const Exec& exec = call.context.exec();
  const index_t C = norm_->channels();
  const Vector<double> sums = nn::Cutter(call.workspace).vector<double>(2 * C + 1);
  norm_->forward_sums(call, x, sums);
  this->observed(call, Part::forward, [&] {
    axis_.add(exec, sums);
    kernels::copy<double>(exec, ConstVector<double>(sums.data() + 2 * C, 1), saved_rows(call));
  });
  norm_->forward_rest(call, sums, x, y);
}

template <class Scalar>
void SyncBatchNorm<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                     ConstMatrix<Scalar> y, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  using Real = nn::Sum<Scalar>;
  if (half == Half::weights || dx.data() == nullptr) return norm_->backward(half, call, x, y, dy, dx);
  const Vector<Real> means = nn::Cutter(call.workspace).vector<Real>(2 * norm_->channels());
  norm_->backward_sums(call, saved_rows(call), x, y, dy, means);
  this->observed(call, Part::backward_input, [&] { axis_.add(call.context.exec(), means); });
  norm_->backward_rest(call, means, x, y, dy, dx);
  if (half == Half::both) norm_->backward(Half::weights, call, x, y, dy, {});
}

template <class Scalar>
nn::Layer<Scalar> SyncBatchNormBetween<Scalar>::batchnorm2d(const std::string& name, const nn::Image& image,
                                                            bool relu) const {
  if (axis_->ranks().size() == 1) return nn::Between<Scalar>::batchnorm2d(name, image, relu);
  return [=, axis = axis_](nn::Tables& tables) -> std::unique_ptr<nn::Unit<Scalar>> {
    auto unit = std::make_unique<SyncBatchNorm<Scalar>>(tables, name, image, relu, *axis);
    unit->visit([](nn::Unit<Scalar>& part) { part.set_tag("norm"); });
    unit->set_tag("all-reduce");
    return unit;
  };
}

#define PARTITA_SYNC_BATCHNORM(S)  \
  template class SyncBatchNorm<S>; \
  template class SyncBatchNormBetween<S>;
PARTITA_SYNC_BATCHNORM(float)
PARTITA_SYNC_BATCHNORM(double)
PARTITA_SYNC_BATCHNORM(bfloat16)
PARTITA_SYNC_BATCHNORM(float16)
#undef PARTITA_SYNC_BATCHNORM

}  // namespace partita::parallel
