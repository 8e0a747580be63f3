// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/cost.hpp>
#include <partita/nn/units/pool2d.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Pool2d<Scalar>::Pool2d(std::string name, Pool pool, const kernels::Pool2dShape& shape)
    : name_(std::move(name)), pool_(pool), shape_(shape) {}

template <class Scalar>
double Pool2d<Scalar>::forward_flop(index_t B) const {
  namespace cost = kernels::cost;
  return (pool_ == Pool::maximum ? cost::max_pool2d_forward(shape_, B, sizeof(Scalar))
                                 : cost::average_pool2d_forward(shape_, B, sizeof(Scalar)))
      .flop;
}

template <class Scalar>
double Pool2d<Scalar>::backward_input_flop(index_t B) const {
  namespace cost = kernels::cost;
  return (pool_ == Pool::maximum ? cost::max_pool2d_backward(shape_, B, sizeof(Scalar))
                                 : cost::average_pool2d_backward(shape_, B, sizeof(Scalar)))
      .flop;
}

template <class Scalar>
std::size_t Pool2d<Scalar>::saved_bytes(index_t B) const {
  Cutter cutter;
  if (pool_ == Pool::maximum) cutter.matrix<std::int32_t>(B, outputs());
  return cutter.used();
}

template <class Scalar>
void Pool2d<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                             std::byte* saved) const {
  const Exec& exec = call.context.exec();
  if (pool_ == Pool::average) return kernels::average_pool2d_forward<Scalar>(exec, shape_, x, y);
  const auto winner = Cutter(saved).matrix<std::int32_t>(static_cast<index_t>(y.extent(0)), outputs());
  kernels::max_pool2d_forward<Scalar>(exec, shape_, x, y, winner);
}

template <class Scalar>
void Pool2d<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>,
                                    std::byte* saved, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  const Exec& exec = call.context.exec();
  if (pool_ == Pool::average) return kernels::average_pool2d_backward<Scalar>(exec, shape_, dy, dx);
  const auto winner = Cutter(saved).matrix<std::int32_t>(static_cast<index_t>(dy.extent(0)), outputs());
  kernels::max_pool2d_backward<Scalar>(exec, shape_, dy, winner, dx);
}

template <class Scalar>
GlobalAveragePool<Scalar>::GlobalAveragePool(std::string name, index_t pixels, index_t C)
    : name_(std::move(name)), pixels_(pixels), C_(C) {}

template <class Scalar>
double GlobalAveragePool<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::global_average_pool2d_forward(B, pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
double GlobalAveragePool<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::global_average_pool2d_backward(B, pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
void GlobalAveragePool<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                                        std::byte*) const {
  kernels::global_average_pool2d_forward<Scalar>(call.context.exec(), pixels_, x, y);
}

template <class Scalar>
void GlobalAveragePool<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>,
                                               std::byte*, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() != nullptr) kernels::global_average_pool2d_backward<Scalar>(call.context.exec(), pixels_, dy, dx);
}

template class Pool2d<float>;
template class Pool2d<double>;
template class Pool2d<bfloat16>;
template class Pool2d<float16>;
template class GlobalAveragePool<float>;
template class GlobalAveragePool<double>;
template class GlobalAveragePool<bfloat16>;
template class GlobalAveragePool<float16>;

}  // namespace partita::nn
