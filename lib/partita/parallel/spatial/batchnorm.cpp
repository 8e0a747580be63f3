// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/batchnorm.hpp>

#include <functional>

#include <partita/core/float16.hpp>

namespace partita::parallel {

using nn::Half;
using nn::Part;

template <class Scalar>
SpatialBatchNorm<Scalar>::SpatialBatchNorm(nn::Tables& tables, const std::string& name, const nn::Image& image,
                                           bool relu, SpatialAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name + ".all-reduce", axis.here(image).size(), axis.here(image).size()),
      axis_(axis),
      image_(image),
      nodes_(axis.my_nodes(image)),
      norm_(std::make_unique<nn::BatchNorm2d<Scalar>>(tables, name, axis.here(image), relu)) {}

template <class Scalar>
void SpatialBatchNorm<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*norm_);
  f(*this);
}

template <class Scalar>
typename SpatialBatchNorm<Scalar>::Buffers SpatialBatchNorm<Scalar>::cut(nn::Cutter& workspace, index_t numbers) const {
  Buffers memory;
  memory.sums = workspace.matrix<double>(std::ssize(nodes_), numbers);
  memory.root = workspace.vector<double>(numbers);
  memory.mean = workspace.vector<double>(image_.channels);
  return memory;
}

template <class Scalar>
nn::Footprint SpatialBatchNorm<Scalar>::footprint(index_t B) const {
  nn::Footprint bytes = norm_->footprint(B);
  nn::Cutter workspace;
  cut(workspace, 2 * image_.channels);
  bytes.workspace = workspace.used();
  return bytes;
}

template <class Scalar>
void SpatialBatchNorm<Scalar>::add(const Exec& exec, const Buffers& memory) const {
  axis_.add_nodes(exec, image_, ConstVector<double>(memory.sums.data(), memory.sums.size()), memory.root);
}

template <class Scalar>
void SpatialBatchNorm<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  if (!call.training) return norm_->forward(call, x, y);
  nn::Cutter workspace(call.workspace);
  const Buffers memory = cut(workspace, image_.channels);
  const auto add_up = [&] { add(call.context.exec(), memory); };
  norm_->forward_nodes(call, nodes_, static_cast<index_t>(x.extent(0)) * image_.pixels(), x, y, memory.sums,
                       memory.root, memory.mean, std::cref(add_up));  // a reference: no allocation
}

template <class Scalar>
void SpatialBatchNorm<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                        ConstMatrix<Scalar> y, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (half != Half::weights) {
    nn::Cutter workspace(call.workspace);
    const Buffers memory = cut(workspace, 2 * image_.channels);
    const auto add_up = [&] { add(call.context.exec(), memory); };
    norm_->backward_nodes(call, nodes_, static_cast<index_t>(dy.extent(0)) * image_.pixels(), x, y, dy, dx, memory.sums,
                          memory.root, std::cref(add_up));
  }
  if (half != Half::input) norm_->backward(Half::weights, call, x, y, dy, {});
}

template class SpatialBatchNorm<float>;
template class SpatialBatchNorm<double>;
template class SpatialBatchNorm<bfloat16>;
template class SpatialBatchNorm<float16>;

}  // namespace partita::parallel
