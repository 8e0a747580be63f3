// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/nn/init.hpp>
#include <partita/nn/model.hpp>
#include <utility>

namespace partita::nn {
namespace {

// The first B rows; adjacent in memory, since rows are stored one after the other.
template <class Scalar>
Matrix<Scalar> top(const Matrix<Scalar>& matrix, index_t B) {
  return {matrix.data(), static_cast<std::size_t>(B), matrix.extent(1)};
}

// A model is fed rows or tokens.
template <class Scalar>
index_t rows_of(const Call<Scalar>& call, const ConstMatrix<Scalar>& x) {
  return static_cast<index_t>(x.data() == nullptr ? call.tokens.extent(0) : x.extent(0));
}

}  // namespace

template <class Scalar>
Model<Scalar>::Model(Tables tables, Units<Scalar> units, std::uint64_t seed)
    : tables_(std::move(tables)),
      chain_(std::move(units)),
      parameters_("partita::nn::Model::parameters", tables_.parameters.size()),
      gradients_("partita::nn::Model::gradients", tables_.parameters.size()),
      state_("partita::nn::Model::state", tables_.state.size()) {
  initialise(tables_.parameters, seed, parameters_);
  initialise(tables_.state, seed, state_);
}

template <class Scalar>
void Model<Scalar>::plan(index_t rows, index_t slots) {
  slots_.clear();
  slots_.resize(static_cast<std::size_t>(slots));
  for (Slot& slot : slots_) {
    slot.y = Matrix<Scalar>("partita::nn::Model::activation", rows, outputs());
    slot.dy = Matrix<Scalar>("partita::nn::Model::activation_gradient", rows, outputs());
    slot.block = {"partita::nn::Model::activations", chain_.bytes(rows)};
  }
}

template <class Scalar>
ConstMatrix<Scalar> Model<Scalar>::forward(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x,
                                           Observer& observer) const {
  const Slot& at = slot_at(slot);
  const index_t B = rows_of(call, x);
  if (B > static_cast<index_t>(at.y.extent(0)))
    throw ShapeError(fmt::format("Model::forward: x has {} rows, planned are {}", B, at.y.extent(0)));
  const Matrix<Scalar> y = top(at.y, B);
  chain_.forward(call, x, y, at.block.data(), slot, observer);
  return y;
}

template <class Scalar>
Matrix<Scalar> Model<Scalar>::output_gradient(index_t slot, index_t B) const {
  return top(slot_at(slot).dy, B);
}

template <class Scalar>
typename Model<Scalar>::Ends Model<Scalar>::ends(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x,
                                                 Matrix<Scalar> dx) const {
  const index_t B = rows_of(call, x);
  return {x, top(slot_at(slot).y, B), output_gradient(slot, B), dx};
}

template <class Scalar>
void Model<Scalar>::backward(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x, Vector<Scalar> gradients,
                             Observer& observer) const {
  chain_.backward(call, ends(call, slot, x, {}), slot_at(slot).block.data(), gradients, slot, observer);
}

template <class Scalar>
void Model<Scalar>::backward_input(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x, Matrix<Scalar> dx,
                                   Observer& observer) const {
  chain_.backward_input(call, ends(call, slot, x, dx), slot_at(slot).block.data(), slot, observer);
}

template <class Scalar>
void Model<Scalar>::backward_weights(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x,
                                     Vector<Scalar> gradients, Observer& observer) const {
  const ConstMatrix<Scalar> dy = output_gradient(slot, rows_of(call, x));
  chain_.backward_weights(call, x, dy, slot_at(slot).block.data(), gradients, slot, observer);
}

template class Model<float>;
template class Model<double>;
template class Model<bfloat16>;
template class Model<float16>;

}  // namespace partita::nn
