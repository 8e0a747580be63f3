// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/unit.hpp>

namespace partita::nn {

template <class Scalar>
void Unit<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  observed(call, Part::forward, [&] { compute(call, x, y); });
}

template <class Scalar>
void Unit<Scalar>::restore(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  if (footprint(1).saved > 0) forward(call, x, y);
}

template <class Scalar>
void Unit<Scalar>::backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                            Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (half != Half::weights) observed(call, Part::backward_input, [&] { backward_input(call, x, y, dy, dx); });
  if (half != Half::input && !reads_.empty())
    observed(call, Part::backward_weights, [&] { backward_weights(call, x, dy); });
}

template class Unit<float>;
template class Unit<double>;
template class Unit<bfloat16>;
template class Unit<float16>;

}  // namespace partita::nn
