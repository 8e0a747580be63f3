// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <partita/kernels/cost.hpp>
#include <partita/nn/units/conv2d.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Conv2d<Scalar>::Conv2d(ParameterTable& table, std::string name, const kernels::Conv2dShape& shape, bool bias)
    : name_(std::move(name)), shape_(shape), bias_(bias) {
  ranges_[0] =
      table.add(name_ + ".weight",
                {whole(shape.filters), whole(shape.kernel_rows), whole(shape.kernel_columns), whole(shape.channels)},
                Initial::normal(std::sqrt(2 / static_cast<double>(taps()))));
  if (bias) ranges_[1] = table.add(name_ + ".bias", {whole(shape.filters)}, Initial::constant(0));
}

template <class Scalar>
double Conv2d<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::conv2d_forward(shape_, B, sizeof(Scalar), bias_).flop;
}

template <class Scalar>
double Conv2d<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::conv2d_backward_input(shape_, B, sizeof(Scalar)).flop;
}

template <class Scalar>
double Conv2d<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::conv2d_backward_weights(shape_, B, sizeof(Scalar), bias_).flop;
}

template <class Scalar>
void Conv2d<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte*) const {
  const ConstVector<Scalar> b(call.parameters.data() + ranges_[1].offset, ranges_[1].extent);
  kernels::conv2d_forward<Scalar>(call.context, shape_, x, weight(call.parameters), b, y);
}

template <class Scalar>
void Conv2d<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>, std::byte*,
                                    Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  kernels::conv2d_backward_input<Scalar>(call.context, shape_, dy, weight(call.parameters), dx);
}

template <class Scalar>
void Conv2d<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte*,
                                      ConstMatrix<Scalar> dy, Vector<Scalar> gradients) const {
  const Matrix<Scalar> dW(gradients.data() + ranges_[0].offset, shape_.filters, taps());
  const Vector<Scalar> db(gradients.data() + ranges_[1].offset, ranges_[1].extent);
  kernels::conv2d_backward_weights<Scalar>(call.context, shape_, x, dy, dW, db);
}

template class Conv2d<float>;
template class Conv2d<double>;
template class Conv2d<bfloat16>;
template class Conv2d<float16>;

}  // namespace partita::nn
