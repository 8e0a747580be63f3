// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/linear.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/cost.hpp>

namespace partita::nn {
namespace {

index_t columns(const std::vector<Dimension>& dimensions) {
  index_t N = 1;
  for (const Dimension& dimension : dimensions) N *= dimension.slice.extent;
  return N;
}

// The one dimension that is cut, behind those before it.
kernels::Blocks blocks(const std::vector<Dimension>& dimensions) {
  index_t outer = 1;
  for (const Dimension& dimension : dimensions) {
    if (dimension.blocks > 1) return {.leaves = dimension.leaves(), .outer = outer};
    outer *= dimension.slice.extent;
  }
  return {};
}

}  // namespace

template <class Scalar>
Linear<Scalar>::Linear(Tables& tables, std::string name, const LinearShape& shape)
    : Unit<Scalar>(std::move(name), shape.tokens.extent * shape.K.extent, shape.tokens.extent * columns(shape.N)),
      K_(shape.K.extent),
      N_(columns(shape.N)),
      tokens_(shape.tokens.extent),
      bias_apart_(shape.bias_apart),
      options_{.activation = shape.activation,
               .inputs = {.leaves = Dimension(shape.K, shape.K_blocks).leaves()},
               .outputs = blocks(shape.N),
               .tokens = tokens_,
               .token_blocks = tables.blocks(tokens_)} {
  if (!kernels::slope_from_output(shape.activation))
    refuse<UsageError>(this->name(),
                       fmt::format("the slope of {} does not follow from its output", kernels::name(shape.activation)),
                       "a unit of its own");
  std::vector<Dimension> dimensions = shape.N;
  dimensions.emplace_back(shape.K, shape.K_blocks);
  if (!shape.tied.empty()) {
    const auto& all = tables.parameters.parameters();
    const auto there = std::ranges::find(all, shape.tied, &Parameter::name);
    weight_ = there != all.end() ? this->reads(there->range)
                                 : this->own(tables.parameters.add(shape.tied, std::move(dimensions), shape.weight));
    if (weight_.extent != N_ * K_)
      refuse<UsageError>(this->name(), fmt::format("{} has {} elements", shape.tied, weight_.extent),
                         fmt::format("{} x {}", N_, K_));
    return;
  }
  const bool drawn = shape.weight.value == 0;
  const Initial torch = Initial::uniform(1 / std::sqrt(static_cast<double>(shape.K.global)));
  weight_ =
      this->own(tables.parameters.add(this->name() + ".weight", std::move(dimensions), drawn ? torch : shape.weight));
  if (shape.bias)
    bias_ = this->own(tables.parameters.add(this->name() + ".bias", shape.N, drawn ? torch : Initial::constant(0)));
}

template <class Scalar>
PassFlop Linear<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const index_t rows = B * tokens_;
  return {cost::linear_forward(rows, N_, K_, sizeof(Scalar)).flop,
          cost::linear_backward_input(rows, N_, K_, sizeof(Scalar)).flop,
          cost::linear_backward_weights(rows, N_, K_, sizeof(Scalar)).flop};
}

template <class Scalar>
ConstVector<Scalar> Linear<Scalar>::added_bias(const Call<Scalar>& call) const {
  return bias_apart_ ? ConstVector<Scalar>() : call.weights.vector(bias_);
}

template <class Scalar>
void Linear<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  kernels::linear_forward<Scalar>(call.context, options_, split_rows(x, K_), call.weights.matrix(weight_, N_, K_),
                                  added_bias(call), split_rows(y, N_));
}

template <class Scalar>
void Linear<Scalar>::forward_rows(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  this->observed(call, Part::forward, [&] {
    kernels::linear_forward<Scalar>(call.context, options_, x, call.weights.matrix(weight_, N_, K_), added_bias(call),
                                    y);
  });
}

template <class Scalar>
void Linear<Scalar>::forward_nodes(const Call<Scalar>& call, std::span<const Node> nodes, ConstMatrix<Scalar> x,
                                   Vector<Sum<Scalar>> y) const {
  this->observed(call, Part::forward, [&] {
    const ConstMatrix<Scalar> rows = split_rows(x, K_);
    Sum<Scalar>* to = y.data();
    for (const Node& node : nodes) {
      kernels::linear_forward_node<Scalar>(call.context, options_, node, rows, call.weights.matrix(weight_, N_, K_),
                                           {to, rows.extent(0), static_cast<std::size_t>(N_)});
      to += static_cast<index_t>(rows.extent(0)) * N_;
    }
  });
}

template <class Scalar>
void Linear<Scalar>::backward_input_nodes(const Call<Scalar>& call, std::span<const Node> nodes, ConstMatrix<Scalar> y,
                                          Matrix<Scalar> dy, Vector<Sum<Scalar>> dx) const {
  this->observed(call, Part::backward_input, [&] {
    if (options_.activation != kernels::Activation::identity)
      kernels::activation_backward<Scalar>(call.context.exec(), options_.activation, y, dy);
    const ConstMatrix<Scalar> rows = split_rows(dy, N_);
    Sum<Scalar>* to = dx.data();
    for (const Node& node : nodes) {
      kernels::linear_backward_input_node<Scalar>(call.context, options_, node, rows,
                                                  call.weights.matrix(weight_, N_, K_),
                                                  {to, rows.extent(0), static_cast<std::size_t>(K_)});
      to += static_cast<index_t>(rows.extent(0)) * K_;
    }
  });
}

template <class Scalar>
void Linear<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar> y,
                                    Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (options_.activation != kernels::Activation::identity)
    kernels::activation_backward<Scalar>(call.context.exec(), options_.activation, y, dy);
  if (dx.data() == nullptr) return;
  kernels::linear_backward_input<Scalar>(call.context, options_, split_rows(dy, N_),
                                         call.weights.matrix(weight_, N_, K_), split_rows(dx, K_));
}

template <class Scalar>
void Linear<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const {
  kernels::linear_backward_weights<Scalar>(call.context, options_, call.gradients->store, split_rows(x, K_),
                                           split_rows(dy, N_), call.gradients->matrix(weight_, N_, K_),
                                           call.gradients->vector(bias_));
}

template class Linear<float>;
template class Linear<double>;
template class Linear<bfloat16>;
template class Linear<float16>;

}  // namespace partita::nn
