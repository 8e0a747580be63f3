// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/pool2d.hpp>

#include <utility>

#include <partita/kernels/cost.hpp>

namespace partita::nn {

template <class Scalar>
Pool2d<Scalar>::Pool2d(std::string name, Pool pool, const kernels::Pool2dShape& shape)
    : Unit<Scalar>(std::move(name), shape.inputs(), shape.outputs()), pool_(pool), shape_(shape) {}

template <class Scalar>
PassFlop Pool2d<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  constexpr index_t element = sizeof(Scalar);
  if (pool_ == Pool::maximum)
    return {cost::max_pool2d_forward(shape_, B, element).flop, cost::max_pool2d_backward(shape_, B, element).flop};
  return {cost::average_pool2d_forward(shape_, B, element).flop,
          cost::average_pool2d_backward(shape_, B, element).flop};
}

template <class Scalar>
Footprint Pool2d<Scalar>::footprint(index_t B) const {
  Cutter cutter;
  if (pool_ == Pool::maximum) cutter.matrix<std::int32_t>(B, this->outputs());
  return {.saved = cutter.used()};
}

template <class Scalar>
void Pool2d<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const Exec& exec = call.context.exec();
  if (pool_ == Pool::average) return kernels::average_pool2d_forward<Scalar>(exec, shape_, x, y);
  kernels::max_pool2d_forward<Scalar>(exec, shape_, x, y, winner(call, y.extent(0)));
}

template <class Scalar>
void Pool2d<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>,
                                    Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  const Exec& exec = call.context.exec();
  if (pool_ == Pool::average) return kernels::average_pool2d_backward<Scalar>(exec, shape_, dy, dx);
  kernels::max_pool2d_backward<Scalar>(exec, shape_, dy, winner(call, dy.extent(0)), dx);
}

template <class Scalar>
void Pool2d<Scalar>::forward_rows(const Call<Scalar>& call, const kernels::Pool2dShape& part, ConstMatrix<Scalar> x,
                                  Matrix<Scalar> y, Matrix<std::int32_t> winner) const {
  this->observed(call, Part::forward, [&] {
    if (pool_ == Pool::average) return kernels::average_pool2d_forward<Scalar>(call.context.exec(), part, x, y);
    kernels::max_pool2d_forward<Scalar>(call.context.exec(), part, x, y, winner);
  });
}

template <class Scalar>
void Pool2d<Scalar>::backward_rows(const Call<Scalar>& call, const kernels::Pool2dShape& part, ConstMatrix<Scalar> dy,
                                   ConstMatrix<std::int32_t> winner, Matrix<Scalar> dx) const {
  this->observed(call, Part::backward_input, [&] {
    if (pool_ == Pool::average) return kernels::average_pool2d_backward<Scalar>(call.context.exec(), part, dy, dx);
    kernels::max_pool2d_backward<Scalar>(call.context.exec(), part, dy, winner, dx);
  });
}

template <class Scalar>
GlobalAveragePool<Scalar>::GlobalAveragePool(const Tables& tables, std::string name, const Image& image)
    : Unit<Scalar>(std::move(name), image.size(), image.channels),
      image_(image),
      rows_{.leaves = tables.blocks_of_their_own(image.rows)} {}

template <class Scalar>
PassFlop GlobalAveragePool<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const index_t pixels = image_.pixels(), C = image_.channels;
  return {cost::global_average_pool2d_forward(B, pixels, C, sizeof(Scalar)).flop,
          cost::global_average_pool2d_backward(B, pixels, C, sizeof(Scalar)).flop};
}

template <class Scalar>
void GlobalAveragePool<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  kernels::global_average_pool2d_forward<Scalar>(call.context.exec(), image_.pixels(), rows_, x, y);
}

template <class Scalar>
void GlobalAveragePool<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>,
                                               Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  kernels::global_average_pool2d_backward<Scalar>(call.context.exec(), image_.pixels(), dy, dx);
}

template <class Scalar>
void GlobalAveragePool<Scalar>::forward_nodes(const Call<Scalar>& call, std::span<const Node> nodes,
                                              ConstMatrix<Scalar> x, Matrix<Sum<Scalar>> sums) const {
  this->observed(call, Part::forward, [&] {
    kernels::global_average_pool2d_nodes<Scalar>(call.context.exec(), image_.pixels(), {.leaves = image_.rows}, nodes,
                                                 x, sums);
  });
}

template <class Scalar>
void GlobalAveragePool<Scalar>::forward_rest(const Call<Scalar>& call, index_t pixels, ConstVector<Sum<Scalar>> sum,
                                             Matrix<Scalar> y) const {
  this->observed(call, Part::forward,
                 [&] { kernels::global_average_pool2d_finish<Scalar>(call.context.exec(), pixels, sum, y); });
}

template <class Scalar>
void GlobalAveragePool<Scalar>::backward_rows(const Call<Scalar>& call, index_t pixels, ConstMatrix<Scalar> dy,
                                              Matrix<Scalar> dx) const {
  this->observed(call, Part::backward_input, [&] {
    kernels::global_average_pool2d_backward<Scalar>(call.context.exec(), image_.pixels(), dy, dx, pixels);
  });
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
