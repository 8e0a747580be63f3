// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/conv2d.hpp>

#include <cmath>
#include <utility>

#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {

template <class Scalar>
Conv2d<Scalar>::Conv2d(Tables& tables, std::string name, const kernels::Conv2dShape& shape, bool bias)
    : Unit<Scalar>(std::move(name), shape.inputs(), shape.outputs()),
      shape_(shape),
      rows_{.leaves = tables.blocks_of_their_own(shape.out_rows())} {
  weight_ = this->own(tables.parameters.add(this->name() + ".weight",
                                            {shape.filters, shape.kernel_rows, shape.kernel_columns, shape.channels},
                                            Initial::normal(std::sqrt(2 / static_cast<double>(shape.kernel())))));
  if (bias) bias_ = this->own(tables.parameters.add(this->name() + ".bias", {shape.filters}, Initial::constant(0)));
}

template <class Scalar>
PassFlop Conv2d<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const bool bias = bias_.extent > 0;
  return {cost::conv2d_forward(shape_, B, sizeof(Scalar), bias).flop,
          cost::conv2d_backward_input(shape_, B, sizeof(Scalar)).flop,
          cost::conv2d_backward_weights(shape_, B, sizeof(Scalar), kernels::Store::overwrite, bias).flop};
}

template <class Scalar>
void Conv2d<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  kernels::conv2d_forward<Scalar>(call.context, shape_, x,
                                  call.weights.matrix(weight_, shape_.filters, shape_.kernel()),
                                  call.weights.vector(bias_), y);
}

template <class Scalar>
void Conv2d<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>,
                                    Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  kernels::conv2d_backward_input<Scalar>(call.context, shape_, dy,
                                         call.weights.matrix(weight_, shape_.filters, shape_.kernel()), dx);
}

template <class Scalar>
void Conv2d<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const {
  kernels::conv2d_backward_weights<Scalar>(call.context, shape_, rows_, call.gradients->store, x, dy,
                                           call.gradients->matrix(weight_, shape_.filters, shape_.kernel()),
                                           call.gradients->vector(bias_));
}

template <class Scalar>
void Conv2d<Scalar>::forward_rows(const Call<Scalar>& call, const kernels::Conv2dShape& part, ConstMatrix<Scalar> x,
                                  Matrix<Scalar> y) const {
  this->observed(call, Part::forward, [&] {
    kernels::conv2d_forward<Scalar>(call.context, part, x, call.weights.matrix(weight_, part.filters, part.kernel()),
                                    call.weights.vector(bias_), y);
  });
}

template <class Scalar>
void Conv2d<Scalar>::backward_input_rows(const Call<Scalar>& call, const kernels::Conv2dShape& part,
                                         ConstMatrix<Scalar> dy, Matrix<Scalar> dx) const {
  this->observed(call, Part::backward_input, [&] {
    kernels::conv2d_backward_input<Scalar>(call.context, part, dy,
                                           call.weights.matrix(weight_, part.filters, part.kernel()), dx);
  });
}

template <class Scalar>
void Conv2d<Scalar>::backward_weights_rows(const Call<Scalar>& call, const kernels::Conv2dShape& part,
                                           ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const {
  this->observed(call, Part::backward_weights, [&] {
    kernels::conv2d_backward_weights<Scalar>(call.context, part, {}, call.gradients->store, x, dy,
                                             call.gradients->matrix(weight_, part.filters, part.kernel()),
                                             call.gradients->vector(bias_));
  });
}

template <class Scalar>
void Conv2d<Scalar>::backward_weights_nodes(const Call<Scalar>& call, const kernels::Conv2dShape& part,
                                            std::span<const Node> nodes, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy,
                                            Matrix<Sum<Scalar>> sums, Vector<Sum<Scalar>> root,
                                            const std::function<void()>& add) const {
  this->observed(call, Part::backward_weights, [&] {
    kernels::conv2d_backward_weights_nodes<Scalar>(call.context, part, nodes, x, dy, sums);
    add();
    const Sum<Scalar>* from = root.data();
    for (const Range& range : {weight_, bias_}) {
      const Vector<Sum<Scalar>> to = call.gradients->vector(range);
      kernels::scale<Sum<Scalar>>(call.context.exec(), call.gradients->store, 1,
                                  ConstVector<Sum<Scalar>>(from, to.extent(0)), to);
      from += to.extent(0);
    }
  });
}

template class Conv2d<float>;
template class Conv2d<double>;
template class Conv2d<bfloat16>;
template class Conv2d<float16>;

}  // namespace partita::nn
