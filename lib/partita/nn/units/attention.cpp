// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <partita/core/error.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/nn/units/attention.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Attention<Scalar>::Attention(std::string name, const kernels::AttentionOptions& options, index_t C)
    : name_(std::move(name)), options_(options), C_(C) {
  if (C % options.H != 0)
    throw ShapeError(
        fmt::format("{}: {} columns cannot be shared by {} heads: expected a multiple", name_, C, options.H));
}

template <class Scalar>
double Attention<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::attention_forward(B, options_.T, options_.H, C_ / options_.H, options_.causal, sizeof(Scalar),
                                          sizeof(State<Scalar>))
      .flop;
}

template <class Scalar>
double Attention<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::attention_backward(B, options_.T, options_.H, C_ / options_.H, options_.causal, sizeof(Scalar),
                                           sizeof(State<Scalar>))
      .flop;
}

template <class Scalar>
std::size_t Attention<Scalar>::saved_bytes(index_t B) const {
  Cutter cutter;
  cutter.vector<State<Scalar>>(B * options_.H * options_.T);
  return cutter.used();
}

// The third of [q | k | v] that begins at column `first`.
template <class M>
M third(const M& qkv, index_t first, index_t C) {
  return M(Kokkos::subview(qkv, Kokkos::ALL, Kokkos::pair<index_t, index_t>(first, first + C)));
}

template <class Scalar>
void Attention<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                                std::byte* saved) const {
  Cutter cutter(saved);
  const auto lse = cutter.vector<State<Scalar>>(static_cast<index_t>(y.extent(0)) * options_.H * options_.T);
  const ConstMatrix<Scalar> qkv = split_rows(x, 3 * C_);
  kernels::attention_forward<Scalar>(call.context, options_, third(qkv, 0, C_), third(qkv, C_, C_),
                                     third(qkv, 2 * C_, C_), split_rows(y, C_), lse);
}

template <class Scalar>
void Attention<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                                       std::byte* saved, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  Cutter cutter(saved);
  const auto lse = cutter.vector<State<Scalar>>(static_cast<index_t>(y.extent(0)) * options_.H * options_.T);
  const ConstMatrix<Scalar> qkv = split_rows(x, 3 * C_);
  const Matrix<Scalar> dqkv = split_rows(dx, 3 * C_);
  kernels::attention_backward<Scalar>(call.context, options_, third(qkv, 0, C_), third(qkv, C_, C_),
                                      third(qkv, 2 * C_, C_), split_rows(y, C_), lse, split_rows(dy, C_),
                                      third(dqkv, 0, C_), third(dqkv, C_, C_), third(dqkv, 2 * C_, C_));
}

template class Attention<float>;
template class Attention<double>;
template class Attention<bfloat16>;
template class Attention<float16>;

}  // namespace partita::nn
