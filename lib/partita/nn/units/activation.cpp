// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/activation.hpp>

#include <partita/kernels/cost.hpp>

namespace partita::nn {

template <class Scalar>
PassFlop Activation<Scalar>::flop(index_t B) const {
  return {kernels::cost::activation_forward(activation_, B * this->outputs(), sizeof(Scalar)).flop,
          kernels::cost::activation_backward(activation_, B * this->outputs(), sizeof(Scalar)).flop};
}

template <class Scalar>
void Activation<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  kernels::activation_forward<Scalar>(call.context.exec(), activation_, x, y);
}

template <class Scalar>
void Activation<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar>,
                                        Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  kernels::activation_backward_from_input<Scalar>(call.context.exec(), activation_, x, dy, dx);
}

template class Activation<float>;
template class Activation<double>;
template class Activation<bfloat16>;
template class Activation<float16>;

}  // namespace partita::nn
