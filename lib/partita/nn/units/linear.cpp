// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/nn/units/linear.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Linear<Scalar>::Linear(ParameterTable& table, std::string name, index_t K, index_t N, kernels::Activation activation)
    : name_(std::move(name)), K_(K), N_(N), activation_(activation) {
  const double bound = 1 / std::sqrt(static_cast<double>(K));
  ranges_[0] = table.add(name_ + ".weight", {{0, N, N}, {0, K, K}}, bound, {"data"});
  ranges_[1] = table.add(name_ + ".bias", {{0, N, N}}, bound, {"data"});
}

template <class Scalar>
double Linear<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::linear_forward(B, N_, K_, sizeof(Scalar)).flop;
}

template <class Scalar>
double Linear<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::linear_backward_input(B, N_, K_, sizeof(Scalar)).flop;
}

template <class Scalar>
double Linear<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::linear_backward_weights(B, N_, K_, sizeof(Scalar)).flop;
}

template <class Scalar>
void Linear<Scalar>::forward(kernels::Context& context, ConstVector<Scalar> parameters, ConstMatrix<Scalar> x,
                             Matrix<Scalar> y) const {
  const ConstMatrix<Scalar> W(parameters.data() + ranges_[0].offset, N_, K_);
  const ConstVector<Scalar> b(parameters.data() + ranges_[1].offset, N_);
  kernels::linear_forward<Scalar>(context, activation_, x, W, b, y);
}

template <class Scalar>
void Linear<Scalar>::backward_input(kernels::Context& context, ConstVector<Scalar> parameters, ConstMatrix<Scalar> y,
                                    Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (activation_ != kernels::Activation::identity)
    kernels::activation_backward<Scalar>(context.exec(), activation_, y, dy);
  if (dx.data() == nullptr) return;
  const ConstMatrix<Scalar> W(parameters.data() + ranges_[0].offset, N_, K_);
  kernels::linear_backward_input<Scalar>(context, dy, W, dx);
}

template <class Scalar>
void Linear<Scalar>::backward_weights(kernels::Context& context, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy,
                                      Vector<Scalar> gradients) const {
  const Matrix<Scalar> dW(gradients.data() + ranges_[0].offset, N_, K_);
  const Vector<Scalar> db(gradients.data() + ranges_[1].offset, N_);
  kernels::linear_backward_weights<Scalar>(context, x, dy, dW, db);
}

template class Linear<float>;
template class Linear<double>;

}  // namespace partita::nn
