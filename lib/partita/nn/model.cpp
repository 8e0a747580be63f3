// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/nn/model.hpp>
#include <utility>

namespace partita::nn {
namespace {

// The first B rows; adjacent in memory, since rows are stored one after the other.
template <class Scalar>
Matrix<Scalar> top(const Matrix<Scalar>& matrix, index_t B) {
  return {matrix.data(), static_cast<std::size_t>(B), matrix.extent(1)};
}

}  // namespace

template <class Scalar>
Model<Scalar>::Model(ParameterTable table, std::vector<std::unique_ptr<Unit<Scalar>>> units)
    : table_(std::move(table)),
      units_(std::move(units)),
      parameters_("partita::nn::Model::parameters", table_.size()),
      gradients_("partita::nn::Model::gradients", table_.size()) {
  for (std::size_t u = 1; u < units_.size(); ++u)
    if (units_[u]->inputs() != units_[u - 1]->outputs())
      throw ShapeError(fmt::format("Model: {} takes {} columns, {} before it gives {}", units_[u]->name(),
                                   units_[u]->inputs(), units_[u - 1]->name(), units_[u - 1]->outputs()));
}

template <class Scalar>
void Model<Scalar>::plan(index_t rows, index_t slots) {
  slots_.clear();
  slots_.resize(static_cast<std::size_t>(slots));
  for (Slot& slot : slots_)
    for (const auto& unit : units_) {
      slot.y.emplace_back("partita::nn::Model::activation", rows, unit->outputs());
      slot.dy.emplace_back("partita::nn::Model::activation_gradient", rows, unit->outputs());
    }
}

template <class Scalar>
ConstMatrix<Scalar> Model<Scalar>::forward(kernels::Context& context, ConstVector<Scalar> parameters, index_t slot,
                                           ConstMatrix<Scalar> x, Observer& observer) const {
  const Slot& at = slots_.at(static_cast<std::size_t>(slot));
  const auto B = static_cast<index_t>(x.extent(0));
  if (B > static_cast<index_t>(at.y.front().extent(0)))
    throw ShapeError(fmt::format("Model::forward: x has {} rows, planned are {}", B, at.y.front().extent(0)));
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const auto unit = static_cast<index_t>(u);
    const Matrix<Scalar> y = top(at.y[u], B);
    observer.before(unit, Pass::forward, slot, context.exec());
    units_[u]->forward(context, parameters, x, y);
    observer.after(unit, Pass::forward, slot, {}, context.exec());
    x = y;
  }
  return x;
}

template <class Scalar>
Matrix<Scalar> Model<Scalar>::output_gradient(index_t slot, index_t B) const {
  return top(slots_.at(static_cast<std::size_t>(slot)).dy.back(), B);
}

template <class Scalar>
void Model<Scalar>::backward(kernels::Context& context, ConstVector<Scalar> parameters, index_t slot,
                             ConstMatrix<Scalar> x, Vector<Scalar> gradients, Observer& observer) const {
  const Slot& at = slots_.at(static_cast<std::size_t>(slot));
  const auto B = static_cast<index_t>(x.extent(0));
  for (std::size_t u = units_.size(); u-- > 0;) {
    const auto unit = static_cast<index_t>(u);
    const Matrix<Scalar> dy = top(at.dy[u], B);
    const Matrix<Scalar> dx = u > 0 ? top(at.dy[u - 1], B) : Matrix<Scalar>();
    observer.before(unit, Pass::backward_input, slot, context.exec());
    units_[u]->backward_input(context, parameters, top(at.y[u], B), dy, dx);
    observer.after(unit, Pass::backward_input, slot, {}, context.exec());

    observer.before(unit, Pass::backward_weights, slot, context.exec());
    units_[u]->backward_weights(context, u > 0 ? ConstMatrix<Scalar>(top(at.y[u - 1], B)) : x, dy, gradients);
    observer.after(unit, Pass::backward_weights, slot, units_[u]->ranges(), context.exec());
  }
}

template <class Scalar>
double Model<Scalar>::forward_flop(index_t B) const {
  double flop = 0;
  for (const auto& unit : units_) flop += unit->forward_flop(B);
  return flop;
}

template <class Scalar>
double Model<Scalar>::backward_flop(index_t B) const {
  double flop = 0;
  for (std::size_t u = 0; u < units_.size(); ++u)
    flop += units_[u]->backward_weights_flop(B) + (u > 0 ? units_[u]->backward_input_flop(B) : 0);
  return flop;
}

template class Model<float>;
template class Model<double>;

}  // namespace partita::nn
