// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/pool2d.hpp>

#include <algorithm>

#include <partita/core/float16.hpp>

namespace partita::parallel {

using nn::Half;
using nn::Part;

template <class Scalar>
SpatialPool2d<Scalar>::SpatialPool2d(const std::string& name, nn::Pool pool, const kernels::Pool2dShape& shape,
                                     index_t reduction, SpatialAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name + ".halo", 0, 0),
      axis_(axis),
      kind_(pool),
      shape_(shape),
      rows_(row_stencil(name, shape, axis.slices(), reduction, axis.ranks().rank())),
      row_of_x_(shape.columns * shape.channels),
      row_of_y_(shape.out_columns() * shape.channels),
      pool_(std::make_unique<nn::Pool2d<Scalar>>(name, pool, kernels::pool2d_slice(shape, rows_.in, rows_.out))),
      halo_of_x_(std::make_unique<Halo<Scalar>>(axis.ranks(), rows_.forward, row_of_x_)),
      halo_of_dy_(std::make_unique<Halo<Scalar>>(axis.ranks(), rows_.backward, row_of_y_)),
      halo_of_winners_(std::make_unique<Halo<Winner>>(axis.ranks(), rows_.backward, row_of_y_)) {
  this->set_extents(pool_->inputs(), pool_->outputs());
}

template <class Scalar>
void SpatialPool2d<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*pool_);
  f(*this);
}

template <class Scalar>
typename SpatialPool2d<Scalar>::Buffers SpatialPool2d<Scalar>::cut(nn::Cutter& saved, nn::Cutter& workspace,
                                                                   index_t B) const {
  Buffers memory;
  if (maximum()) memory.winner = saved.matrix<Winner>(B, this->outputs());
  memory.leaving = workspace.vector<Scalar>(std::max(halo_of_x_->leaving(B), halo_of_dy_->leaving(B)));
  memory.arriving = workspace.vector<Scalar>(std::max(halo_of_x_->arriving(B), halo_of_dy_->arriving(B)));
  memory.window = workspace.vector<Scalar>(B * std::max(most_rows(rows_.edges, &RowBlock::read) * row_of_x_,
                                                        most_rows(rows_.edges_of_dx, &RowBlock::read) * row_of_y_));
  if (maximum()) {
    memory.winners_leaving = workspace.vector<Winner>(halo_of_winners_->leaving(B));
    memory.winners_arriving = workspace.vector<Winner>(halo_of_winners_->arriving(B));
    memory.winner_window = workspace.vector<Winner>(B * most_rows(rows_.edges_of_dx, &RowBlock::read) * row_of_y_);
  }
  return memory;
}

template <class Scalar>
typename SpatialPool2d<Scalar>::Buffers SpatialPool2d<Scalar>::cut(const nn::Call<Scalar>& call, std::size_t B) const {
  nn::Cutter saved(call.saved), workspace(call.workspace);
  return cut(saved, workspace, static_cast<index_t>(B));
}

template <class Scalar>
nn::Footprint SpatialPool2d<Scalar>::footprint(index_t B) const {
  nn::Cutter saved, workspace;
  cut(saved, workspace, B);
  return {.saved = saved.used(), .workspace = workspace.used()};
}

template <class Scalar>
void SpatialPool2d<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const Exec& exec = call.context.exec();
  const auto B = static_cast<index_t>(x.extent(0));
  const Buffers memory = cut(call, x.extent(0));
  const Vector<Scalar> arriving = first_of(memory.arriving, halo_of_x_->arriving(B));
  this->observed(call, Part::forward, [&] {
    halo_of_x_->start(exec, axis_.flights(), 0, x, first_of(memory.leaving, halo_of_x_->leaving(B)), arriving);
    if (!axis_.options().overlap) axis_.flights().finish();
  });
  pool_->forward_rows(call, kernels::pool2d_slice(shape_, rows_.in, rows_.out), x, y, memory.winner);
  if (axis_.options().overlap && halo_of_x_->rows().any())
    this->observed(call, Part::forward, [&] { axis_.flights().finish(); });
  for (const RowBlock& edge : rows_.edges) {
    const Matrix<Scalar> window = images_in(memory.window, x.extent(0), edge.read.extent * row_of_x_);
    halo_of_x_->assemble(exec, edge.read, x, arriving, window);
    const Matrix<Winner> winner =
        maximum() ? image_rows(memory.winner, rows_.out.offset, edge.made, row_of_y_) : Matrix<Winner>();
    pool_->forward_rows(call, kernels::pool2d_slice(shape_, edge.read, edge.made), window,
                        image_rows(y, rows_.out.offset, edge.made, row_of_y_), winner);
  }
}

template <class Scalar>
void SpatialPool2d<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> /*x*/,
                                     ConstMatrix<Scalar> /*y*/, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (half == Half::weights || dx.data() == nullptr) return;
  const Exec& exec = call.context.exec();
  const auto B = static_cast<index_t>(dy.extent(0));
  const Buffers memory = cut(call, dy.extent(0));
  const Vector<Scalar> arriving = first_of(memory.arriving, halo_of_dy_->arriving(B));
  this->observed(call, Part::backward_input, [&] {
    halo_of_dy_->start(exec, axis_.flights(), 0, dy, first_of(memory.leaving, halo_of_dy_->leaving(B)), arriving);
    if (maximum())
      halo_of_winners_->start(exec, axis_.flights(), 1, memory.winner, memory.winners_leaving, memory.winners_arriving);
    if (!axis_.options().overlap) axis_.flights().finish();
  });
  pool_->backward_rows(call, kernels::pool2d_slice(shape_, rows_.in, rows_.out), dy, memory.winner, dx);
  if (axis_.options().overlap && halo_of_dy_->rows().any())
    this->observed(call, Part::backward_input, [&] { axis_.flights().finish(); });
  for (const RowBlock& edge : rows_.edges_of_dx) {
    const Matrix<Scalar> window = images_in(memory.window, dy.extent(0), edge.read.extent * row_of_y_);
    halo_of_dy_->assemble(exec, edge.read, dy, arriving, window);
    Matrix<Winner> winner;
    if (maximum()) {
      winner = images_in(memory.winner_window, dy.extent(0), edge.read.extent * row_of_y_);
      halo_of_winners_->assemble(exec, edge.read, memory.winner, memory.winners_arriving, winner);
    }
    pool_->backward_rows(call, kernels::pool2d_slice(shape_, edge.made, edge.read), window, winner,
                         image_rows(dx, rows_.in.offset, edge.made, row_of_x_));
  }
}

template <class Scalar>
SpatialGlobalPool<Scalar>::SpatialGlobalPool(const std::string& name, const nn::Image& image, SpatialAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name + ".all-reduce", axis.here(image).size(), image.channels),
      axis_(axis),
      image_(image),
      nodes_(axis.my_nodes(image)),
      pool_(std::make_unique<nn::GlobalAveragePool<Scalar>>(nn::Tables(), name, axis.here(image))) {}

template <class Scalar>
void SpatialGlobalPool<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*pool_);
  f(*this);
}

template <class Scalar>
nn::Footprint SpatialGlobalPool<Scalar>::footprint(index_t B) const {
  nn::Cutter workspace;
  workspace.matrix<Real>(std::ssize(nodes_), B * image_.channels);
  workspace.vector<Real>(B * image_.channels);
  return {.workspace = workspace.used()};
}

template <class Scalar>
void SpatialGlobalPool<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const auto B = static_cast<index_t>(x.extent(0));
  nn::Cutter workspace(call.workspace);
  const Matrix<Real> sums = workspace.matrix<Real>(std::ssize(nodes_), B * image_.channels);
  const Vector<Real> sum = workspace.vector<Real>(B * image_.channels);
  pool_->forward_nodes(call, nodes_, x, sums);
  this->observed(call, Part::forward, [&] {
    axis_.add_nodes(call.context.exec(), image_, ConstVector<Real>(sums.data(), sums.size()), sum);
  });
  pool_->forward_rest(call, image_.pixels(), sum, y);
}

template <class Scalar>
void SpatialGlobalPool<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> /*x*/,
                                         ConstMatrix<Scalar> /*y*/, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (half != Half::weights && dx.data() != nullptr) pool_->backward_rows(call, image_.pixels(), dy, dx);
}

#define PARTITA_SPATIAL_POOL(S)    \
  template class SpatialPool2d<S>; \
  template class SpatialGlobalPool<S>;
PARTITA_SPATIAL_POOL(float)
PARTITA_SPATIAL_POOL(double)
PARTITA_SPATIAL_POOL(bfloat16)
PARTITA_SPATIAL_POOL(float16)
#undef PARTITA_SPATIAL_POOL

}  // namespace partita::parallel
