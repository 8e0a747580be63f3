// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <partita/core/error.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/gemm.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/nn/units/linear.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Linear<Scalar>::Linear(ParameterTable& table, std::string name, index_t K, index_t N, const LinearOptions& options)
    : name_(std::move(name)), K_(K), N_(N), options_(options) {
  if (!kernels::slope_from_output(options.activation))
    throw UsageError(name_ +
                     ": the slope of this activation does not follow from its output; give it a unit of its own");
  if (!options.bias && options.activation != kernels::Activation::identity)
    throw UsageError(name_ + ": an activation is fused with a bias only; give it a unit of its own");
  const Initial torch = Initial::uniform(1 / std::sqrt(static_cast<double>(K)));
  ranges_[owned_++] =
      table.add(name_ + ".weight", {whole(N), whole(K)}, options.weight.value == 0 ? torch : options.weight);
  if (options.bias)
    ranges_[owned_++] =
        table.add(name_ + ".bias", {whole(N)}, options.weight.value == 0 ? torch : Initial::constant(0));
}

template <class Scalar>
Linear<Scalar>::Linear(std::string name, Range weight, index_t K, index_t N, index_t tokens)
    : name_(std::move(name)), K_(K), N_(N), options_{.tokens = tokens, .bias = false}, ranges_{weight, {}} {}

template <class Scalar>
double Linear<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::linear_forward(B * options_.tokens, N_, K_, sizeof(Scalar)).flop;
}

template <class Scalar>
double Linear<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::linear_backward_input(B * options_.tokens, N_, K_, sizeof(Scalar)).flop;
}

template <class Scalar>
double Linear<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::linear_backward_weights(B * options_.tokens, N_, K_, sizeof(Scalar)).flop;
}

template <class Scalar>
void Linear<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte*) const {
  const ConstVector<Scalar> b(call.parameters.data() + ranges_[1].offset, ranges_[1].extent);
  if (!options_.bias)
    return kernels::gemm<Scalar>(call.context, {.transpose_b = true}, split_rows(x, K_), weight(call.parameters),
                                 split_rows(y, N_));
  kernels::linear_forward<Scalar>(call.context, options_.activation, split_rows(x, K_), weight(call.parameters), b,
                                  split_rows(y, N_));
}

template <class Scalar>
void Linear<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar> y, std::byte*,
                                    Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (options_.activation != kernels::Activation::identity)
    kernels::activation_backward<Scalar>(call.context.exec(), options_.activation, y, dy);
  if (dx.data() == nullptr) return;
  kernels::linear_backward_input<Scalar>(call.context, split_rows(dy, N_), weight(call.parameters), split_rows(dx, K_));
}

template <class Scalar>
void Linear<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte*,
                                      ConstMatrix<Scalar> dy, Vector<Scalar> gradients) const {
  const Matrix<Scalar> dW(gradients.data() + ranges_[0].offset, N_, K_);
  if (!options_.bias)
    return kernels::gemm<Scalar>(call.context, {.transpose_a = true}, split_rows(dy, N_), split_rows(x, K_), dW);
  const Vector<Scalar> db(gradients.data() + ranges_[1].offset, ranges_[1].extent);
  kernels::linear_backward_weights<Scalar>(call.context, split_rows(x, K_), split_rows(dy, N_), dW, db);
}

template class Linear<float>;
template class Linear<double>;
template class Linear<bfloat16>;
template class Linear<float16>;

}  // namespace partita::nn
