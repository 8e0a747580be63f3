// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/nn/units/residual.hpp>
#include <utility>

namespace partita::nn {
namespace {

template <class Scalar>
Vector<Scalar> flat(const Matrix<Scalar>& matrix) {
  return {matrix.data(), matrix.size()};
}

}  // namespace

template <class Scalar>
Residual<Scalar>::Residual(std::string name, Units<Scalar> branch, Units<Scalar> shortcut, bool relu)
    : name_(std::move(name)), branch_(std::move(branch)), relu_(relu) {
  if (!shortcut.empty()) shortcut_ = std::make_unique<Chain<Scalar>>(std::move(shortcut));
  const index_t beside = shortcut_ ? shortcut_->outputs() : branch_.inputs();
  if (beside != branch_.outputs())
    throw ShapeError(fmt::format("{}: the shortcut gives {} columns, the branch {}: expected the same", name_, beside,
                                 branch_.outputs()));
  if (!branch_.may_end_branch() || (shortcut_ && !shortcut_->may_end_branch()))
    throw UsageError(
        name_ + ": the last unit of a branch overwrites its gradient or reads its output; put such a unit elsewhere");
  ranges_.assign(branch_.ranges().begin(), branch_.ranges().end());
  if (shortcut_) ranges_.insert(ranges_.end(), shortcut_->ranges().begin(), shortcut_->ranges().end());
}

template <class Scalar>
double Residual<Scalar>::forward_flop(index_t B) const {
  const double sum = kernels::cost::add(B * outputs(), sizeof(Scalar)).flop * (relu_ ? 2 : 1);
  return branch_.forward_flop(B) + (shortcut_ ? shortcut_->forward_flop(B) : 0) + sum;
}

template <class Scalar>
double Residual<Scalar>::backward_input_flop(index_t B) const {
  const double sum = kernels::cost::add(B * inputs(), sizeof(Scalar)).flop;
  const double mask = relu_ ? static_cast<double>(B * outputs()) : 0;
  return branch_.backward_input_flop(B, true) + (shortcut_ ? shortcut_->backward_input_flop(B, true) : 0) + sum + mask;
}

template <class Scalar>
double Residual<Scalar>::backward_weights_flop(index_t B) const {
  return branch_.backward_weights_flop(B) + (shortcut_ ? shortcut_->backward_weights_flop(B) : 0);
}

template <class Scalar>
typename Residual<Scalar>::Saved Residual<Scalar>::cut(Cutter& cutter, index_t B) const {
  Saved saved{};
  saved.branch = cutter.take(branch_.bytes(B));
  if (!shortcut_) return saved;
  saved.shortcut = cutter.take(shortcut_->bytes(B));
  saved.shortcut_y = cutter.matrix<Scalar>(B, outputs());
  saved.shortcut_dx = cutter.matrix<Scalar>(B, inputs());
  return saved;
}

template <class Scalar>
std::size_t Residual<Scalar>::saved_bytes(index_t B) const {
  Cutter cutter;
  cut(cutter, B);
  return cutter.used();
}

template <class Scalar>
void Residual<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                               std::byte* block) const {
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(y.extent(0)));
  Observer nobody;
  branch_.forward(call, x, y, saved.branch, 0, nobody);
  if (shortcut_) shortcut_->forward(call, x, saved.shortcut_y, saved.shortcut, 0, nobody);
  const ConstVector<Scalar> beside(shortcut_ ? saved.shortcut_y.data() : x.data(), y.size());
  if (relu_)
    kernels::add_relu<Scalar>(call.context.exec(), beside, flat(y), flat(y));
  else
    kernels::add<Scalar>(call.context.exec(), beside, flat(y));
}

template <class Scalar>
void Residual<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                                      std::byte* block, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const Exec& exec = call.context.exec();
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(y.extent(0)));
  Observer nobody;
  if (relu_) kernels::activation_backward<Scalar>(exec, kernels::Activation::relu, y, dy);
  // The last units of both chains have no activation of their own and read no y: the sum's stands in.
  branch_.backward_input(call, {x, y, dy, dx}, saved.branch, 0, nobody);
  const bool wanted = dx.data() != nullptr;
  if (shortcut_)
    shortcut_->backward_input(call, {x, y, dy, wanted ? saved.shortcut_dx : Matrix<Scalar>()}, saved.shortcut, 0,
                              nobody);
  if (wanted) kernels::add<Scalar>(exec, flat(shortcut_ ? saved.shortcut_dx : dy), flat(dx));
}

template <class Scalar>
void Residual<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* block,
                                        ConstMatrix<Scalar> dy, Vector<Scalar> gradients) const {
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(dy.extent(0)));
  Observer nobody;
  branch_.backward_weights(call, x, dy, saved.branch, gradients, 0, nobody);
  if (shortcut_) shortcut_->backward_weights(call, x, dy, saved.shortcut, gradients, 0, nobody);
}

template class Residual<float>;
template class Residual<double>;
template class Residual<bfloat16>;
template class Residual<float16>;

}  // namespace partita::nn
