// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/residual.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {

template <class Scalar>
Residual<Scalar>::Residual(std::string name, Units<Scalar> branch, Units<Scalar> shortcut, bool relu)
    : Unit<Scalar>(std::move(name), branch.front()->inputs(), branch.back()->outputs()),
      branch_(std::move(branch)),
      relu_(relu) {
  if (!shortcut.empty()) shortcut_.emplace(std::move(shortcut));
  const index_t beside = shortcut_ ? shortcut_->outputs() : branch_.inputs();
  if (beside != branch_.outputs())
    refuse<ShapeError>(this->name(),
                       fmt::format("the shortcut gives {} columns, the branch {}", beside, branch_.outputs()),
                       "the same");
  if (!branch_.may_end_branch() || (shortcut_ && !shortcut_->may_end_branch()))
    refuse<UsageError>(this->name(), "the last unit of a branch overwrites its gradient or reads its output",
                       "one that does neither");
}

template <class Scalar>
PassFlop Residual<Scalar>::flop(index_t B, bool input_gradient) const {
  const double y = kernels::cost::add(B * this->outputs(), sizeof(Scalar)).flop;
  const double dx = input_gradient ? kernels::cost::add(B * this->inputs(), sizeof(Scalar)).flop : 0;
  PassFlop sum{relu_ ? 2 * y : y, relu_ ? dx + static_cast<double>(B * this->outputs()) : dx};
  sum += branch_.flop(B, input_gradient);
  if (shortcut_) sum += shortcut_->flop(B, input_gradient);
  return sum;
}

template <class Scalar>
Restoring Residual<Scalar>::restoring(index_t B) const {
  Restoring all = branch_.restoring(B);
  if (shortcut_) all.flop += shortcut_->restoring(B).flop;  // which has a y of its own
  return all;
}

template <class Scalar>
typename Residual<Scalar>::Layout Residual<Scalar>::layout(index_t B) const {
  Layout all{};
  const Footprint branch = branch_.footprint(B);
  Cutter saved, pending, workspace;
  saved.skip(branch.saved);
  pending.skip(branch.pending);
  std::size_t of_chains = branch.workspace;
  if (shortcut_) {
    const Footprint shortcut = shortcut_->footprint(B);
    all.shortcut = saved.skip(shortcut.saved);
    all.shortcut_y = saved.skip(static_cast<std::size_t>(B * this->outputs()) * sizeof(Scalar));
    all.shortcut_pending = pending.skip(shortcut.pending);
    all.shortcut_dx = workspace.skip(static_cast<std::size_t>(B * this->inputs()) * sizeof(Scalar));
    of_chains = std::max(of_chains, shortcut.workspace);
  }
  all.chain_workspace = workspace.skip(of_chains);
  all.bytes = {saved.used(), pending.used(), workspace.used()};
  return all;
}

template <class Scalar>
Footprint Residual<Scalar>::footprint(index_t B) const {
  return layout(B).bytes;
}

template <class Scalar>
void Residual<Scalar>::plan(index_t B) {
  branch_.plan(B);
  if (shortcut_) shortcut_->plan(B);
  layout_ = layout(B);
}

template <class Scalar>
void Residual<Scalar>::visit(const std::function<void(Unit<Scalar>&)>& f) {
  branch_.visit(f);
  if (shortcut_) shortcut_->visit(f);
  f(*this);
}

template <class Scalar>
Call<Scalar> Residual<Scalar>::of_branch(const Call<Scalar>& call) const {
  Call<Scalar> inner = call;
  inner.workspace = call.workspace + layout_.chain_workspace;
  return inner;
}

template <class Scalar>
Call<Scalar> Residual<Scalar>::of_shortcut(const Call<Scalar>& call) const {
  Call<Scalar> inner = of_branch(call);
  inner.saved = call.saved + layout_.shortcut;
  if (call.pending != nullptr) inner.pending = call.pending + layout_.shortcut_pending;
  return inner;
}

template <class Scalar>
void Residual<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  branch_.forward(of_branch(call), x, y);
  ConstMatrix<Scalar> beside = x;
  if (shortcut_) {
    const Matrix<Scalar> to = matrix(call.saved, layout_.shortcut_y, y.extent(0), this->outputs());
    shortcut_->forward(of_shortcut(call), x, to);
    beside = to;
  }
  this->observed(call, Part::forward, [&] {
    if (relu_)
      kernels::add_relu<Scalar>(call.context.exec(), flat(beside), flat(y), flat(y));
    else
      kernels::add<Scalar>(call.context.exec(), flat(beside), flat(y));
  });
}

template <class Scalar>
void Residual<Scalar>::restore(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  branch_.restore(of_branch(call), x, y);
  if (shortcut_)
    shortcut_->restore(of_shortcut(call), x, matrix(call.saved, layout_.shortcut_y, y.extent(0), this->outputs()));
}

template <class Scalar>
void Residual<Scalar>::backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                                Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const Exec& exec = call.context.exec();
  if (relu_ && half != Half::weights)
    this->observed(call, Part::backward_input,
                   [&] { kernels::activation_backward<Scalar>(exec, kernels::Activation::relu, y, dy); });
  // The last units of both chains have no activation of their own and read no y: the sum's stands in.
  branch_.backward(half, of_branch(call), x, y, dy, dx);
  const bool wanted = dx.data() != nullptr && half != Half::weights;
  Matrix<Scalar> beside = dy;
  if (shortcut_) {
    beside = wanted ? matrix(call.workspace, layout_.shortcut_dx, dy.extent(0), this->inputs()) : Matrix<Scalar>();
    shortcut_->backward(half, of_shortcut(call), x, y, dy, beside);
  }
  if (wanted) this->observed(call, Part::backward_input, [&] { kernels::add<Scalar>(exec, flat(beside), flat(dx)); });
}

template class Residual<float>;
template class Residual<double>;
template class Residual<bfloat16>;
template class Residual<float16>;

}  // namespace partita::nn
