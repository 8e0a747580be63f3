// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/dropout.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/nn/units/dropout.hpp>

namespace partita::nn {

template <class Scalar>
void Dropout<Scalar>::apply(const Call<Scalar>& call, ConstMatrix<Scalar> from, Matrix<Scalar> to) const {
  const Exec& exec = call.context.exec();
  const ConstVector<Scalar> a(from.data(), from.size());
  const Vector<Scalar> b(to.data(), to.size());
  if (!call.training || rate_ == 0) return kernels::copy<Scalar>(exec, a, b);
  const kernels::DropoutOptions options{
      .rate = rate_, .seed = call.seed, .layer = layer_, .step = call.step, .first = call.first_row * columns_};
  kernels::dropout<Scalar>(exec, options, a, b);
}

template <class Scalar>
void Dropout<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte*) const {
  apply(call, x, y);
}

template <class Scalar>
void Dropout<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>, std::byte*,
                                     Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() != nullptr) apply(call, dy, dx);
}

template class Dropout<float>;
template class Dropout<double>;
template class Dropout<bfloat16>;
template class Dropout<float16>;

}  // namespace partita::nn
