// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/conv2d.hpp>

#include <algorithm>
#include <functional>
#include <utility>

#include <partita/core/float16.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::parallel {
namespace {

using nn::Half;
using nn::Part;

bool all_of(const std::vector<RowBlock>& edges, Slice made) { return !edges.empty() && edges.front().made == made; }

}  // namespace

template <class Scalar>
SpatialConv2d<Scalar>::SpatialConv2d(nn::Tables& tables, const std::string& name, const kernels::Conv2dShape& shape,
                                     index_t reduction, SpatialAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name + ".halo", 0, 0),
      axis_(axis),
      conv_(std::make_unique<nn::Conv2d<Scalar>>(tables, name, shape, false)),
      reduction_(reduction),
      rows_(row_stencil(name, shape, axis.slices(), reduction, axis.ranks().rank())) {
  const index_t row_of_x = shape.columns * shape.channels, row_of_y = shape.out_columns() * shape.filters;
  this->set_extents(rows_.in.extent * row_of_x, rows_.out.extent * row_of_y);
  halo_of_x_ = std::make_unique<Halo<Scalar>>(axis.ranks(), rows_.forward, row_of_x);
  halo_of_dy_ = std::make_unique<Halo<Scalar>>(axis.ranks(), rows_.backward, row_of_y);
  if (axis.options().deterministic) nodes_ = axis.my_nodes(outputs_image());
  // Libraries leave no rows of an image out: then a window has those that are read.
  if (kernels::conv2d_slice(shape, rows_.in, rows_.out).above < 0)
    rows_.edges = {{rows_.out, rows_read(shape, rows_.out)}};
}

template <class Scalar>
nn::Image SpatialConv2d<Scalar>::outputs_image() const {
  const kernels::Conv2dShape& shape = conv_->shape();
  return {shape.out_rows(), shape.out_columns(), shape.filters, reduction_ * shape.stride};
}

template <class Scalar>
void SpatialConv2d<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*conv_);
  f(*this);
}

template <class Scalar>
nn::PassFlop SpatialConv2d<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const kernels::Conv2dShape part = kernels::conv2d_slice(conv_->shape(), rows_.in, rows_.out);
  return {cost::conv2d_forward(part, B, sizeof(Scalar), false).flop,
          cost::conv2d_backward_input(part, B, sizeof(Scalar)).flop,
          cost::conv2d_backward_weights(part, B, sizeof(Scalar), kernels::Store::overwrite, false).flop};
}

template <class Scalar>
typename SpatialConv2d<Scalar>::Buffers SpatialConv2d<Scalar>::cut(nn::Cutter& saved, nn::Cutter& workspace,
                                                                   index_t B) const {
  const kernels::Conv2dShape& shape = conv_->shape();
  const index_t row_of_x = shape.columns * shape.channels, row_of_y = shape.out_columns() * shape.filters;
  Buffers memory;
  memory.halo_of_x = saved.vector<Scalar>(halo_of_x_->arriving(B));
  memory.leaving = workspace.vector<Scalar>(std::max(halo_of_x_->leaving(B), halo_of_dy_->leaving(B)));
  memory.halo_of_dy = workspace.vector<Scalar>(halo_of_dy_->arriving(B));
  const index_t window =
      std::max({rows_read(shape, rows_.out).extent * row_of_x, most_rows(rows_.edges, &RowBlock::read) * row_of_x,
                most_rows(rows_.edges_of_dx, &RowBlock::read) * row_of_y});
  memory.window = workspace.vector<Scalar>(B * window);
  memory.strip = workspace.vector<Scalar>(B * std::max(most_rows(rows_.edges, &RowBlock::made) * row_of_y,
                                                       most_rows(rows_.edges_of_dx, &RowBlock::made) * row_of_x));
  if (!nodes_.empty()) {
    const index_t n = shape.filters * shape.kernel();
    memory.nodes = workspace.matrix<Real>(std::ssize(nodes_), n);
    memory.root = workspace.vector<Real>(n);
  }
  return memory;
}

template <class Scalar>
typename SpatialConv2d<Scalar>::Buffers SpatialConv2d<Scalar>::cut(const nn::Call<Scalar>& call, std::size_t B) const {
  nn::Cutter saved(call.saved), workspace(call.workspace);
  return cut(saved, workspace, static_cast<index_t>(B));
}

template <class Scalar>
nn::Footprint SpatialConv2d<Scalar>::footprint(index_t B) const {
  nn::Cutter saved, workspace;
  cut(saved, workspace, B);
  return {.saved = saved.used(), .workspace = workspace.used()};
}

template <class Scalar>
void SpatialConv2d<Scalar>::start_halo_of_x(const nn::Call<Scalar>& call, const Buffers& memory,
                                            ConstMatrix<Scalar> x) const {
  const auto B = static_cast<index_t>(x.extent(0));
  this->observed(call, Part::forward, [&] {
    halo_of_x_->start(call.context.exec(), axis_.flights(), 0, x, first_of(memory.leaving, halo_of_x_->leaving(B)),
                      memory.halo_of_x);
    if (!axis_.options().overlap) axis_.flights().finish();
  });
}

template <class Scalar>
void SpatialConv2d<Scalar>::finish_halo(const nn::Call<Scalar>& call, Part part, const Halo<Scalar>& halo) const {
  if (axis_.options().overlap && halo.rows().any()) this->observed(call, part, [&] { axis_.flights().finish(); });
}

template <class Scalar>
template <class Compute>
void SpatialConv2d<Scalar>::at_edges(const Exec& exec, const std::vector<RowBlock>& edges, const Halo<Scalar>& halo,
                                     index_t read_row, index_t made_row, const Buffers& memory, ConstMatrix<Scalar> own,
                                     ConstVector<Scalar> arrived, Slice here, Matrix<Scalar> made,
                                     const Compute& compute) const {
  const std::size_t B = own.extent(0);
  for (const RowBlock& edge : edges) {
    const Matrix<Scalar> window = images_in(memory.window, B, edge.read.extent * read_row);
    const bool all = edge.made == here;
    const Matrix<Scalar> strip = all ? made : images_in(memory.strip, B, edge.made.extent * made_row);
    halo.assemble(exec, edge.read, own, arrived, window);
    compute(edge, ConstMatrix<Scalar>(window), strip);
    if (!all) kernels::copy<Scalar>(exec, strip, image_rows<Scalar>(made, here.offset, edge.made, made_row));
  }
}

template <class Scalar>
void SpatialConv2d<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const kernels::Conv2dShape& shape = conv_->shape();
  const Buffers memory = cut(call, x.extent(0));
  start_halo_of_x(call, memory, x);
  if (!all_of(rows_.edges, rows_.out))
    conv_->forward_rows(call, kernels::conv2d_slice(shape, rows_.in, rows_.out), x, y);
  finish_halo(call, Part::forward, *halo_of_x_);
  at_edges(call.context.exec(), rows_.edges, *halo_of_x_, shape.columns * shape.channels,
           shape.out_columns() * shape.filters, memory, x, memory.halo_of_x, rows_.out, y,
           [&](const RowBlock& edge, ConstMatrix<Scalar> window, Matrix<Scalar> strip) {
             conv_->forward_rows(call, kernels::conv2d_slice(shape, edge.read, edge.made), window, strip);
           });
}

template <class Scalar>
void SpatialConv2d<Scalar>::restore(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar>) const {
  const Buffers memory = cut(call, x.extent(0));
  start_halo_of_x(call, memory, x);
  finish_halo(call, Part::forward, *halo_of_x_);
}

template <class Scalar>
void SpatialConv2d<Scalar>::gradient(const nn::Call<Scalar>& call, const Buffers& memory, ConstMatrix<Scalar> x,
                                     ConstMatrix<Scalar> dy) const {
  const kernels::Conv2dShape& shape = conv_->shape();
  const Slice read = rows_read(shape, rows_.out);
  ConstMatrix<Scalar> from = x;
  if (read != rows_.in) {
    const Matrix<Scalar> window = images_in(memory.window, x.extent(0), read.extent * shape.columns * shape.channels);
    halo_of_x_->assemble(call.context.exec(), read, x, memory.halo_of_x, window);
    from = window;
  }
  const kernels::Conv2dShape part = kernels::conv2d_slice(shape, read, rows_.out);
  if (nodes_.empty()) return conv_->backward_weights_rows(call, part, from, dy);
  const ConstVector<Real> nodes(memory.nodes.data(), memory.nodes.size());
  const auto add_up = [&] { axis_.add_nodes(call.context.exec(), outputs_image(), nodes, memory.root); };
  // A reference: no allocation.
  conv_->backward_weights_nodes(call, part, nodes_, from, dy, memory.nodes, memory.root, std::cref(add_up));
}

template <class Scalar>
void SpatialConv2d<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                     ConstMatrix<Scalar> /*y*/, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const kernels::Conv2dShape& shape = conv_->shape();
  const Exec& exec = call.context.exec();
  const auto B = static_cast<index_t>(dy.extent(0));
  const Buffers memory = cut(call, dy.extent(0));
  const bool wanted = dx.data() != nullptr && half != Half::weights;
  if (wanted)
    this->observed(call, Part::backward_input, [&] {
      halo_of_dy_->start(exec, axis_.flights(), 0, dy, first_of(memory.leaving, halo_of_dy_->leaving(B)),
                         memory.halo_of_dy);
      if (!axis_.options().overlap) axis_.flights().finish();
    });
  if (half != Half::input) gradient(call, memory, x, dy);
  if (!wanted) return;
  axis_.flights().progress();
  if (!all_of(rows_.edges_of_dx, rows_.in))
    conv_->backward_input_rows(call, kernels::conv2d_slice(shape, rows_.in, rows_.out), dy, dx);
  finish_halo(call, Part::backward_input, *halo_of_dy_);
  at_edges(exec, rows_.edges_of_dx, *halo_of_dy_, shape.out_columns() * shape.filters, shape.columns * shape.channels,
           memory, dy, memory.halo_of_dy, rows_.in, dx,
           [&](const RowBlock& edge, ConstMatrix<Scalar> window, Matrix<Scalar> strip) {
             conv_->backward_input_rows(call, kernels::conv2d_slice(shape, edge.made, edge.read), window, strip);
           });
}

template class SpatialConv2d<float>;
template class SpatialConv2d<double>;
template class SpatialConv2d<bfloat16>;
template class SpatialConv2d<float16>;

}  // namespace partita::parallel
