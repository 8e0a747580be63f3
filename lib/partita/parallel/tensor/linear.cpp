// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/linear.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <partita/core/clock.hpp>
#include <partita/core/float16.hpp>
#include <partita/core/partition.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::parallel {
namespace {

using nn::Half;
using nn::Part;

nn::LinearShape without_activation(nn::LinearShape shape) {
  shape.activation = kernels::Activation::identity;
  shape.bias_apart = true;
  return shape;
}

index_t leaves_of(const std::vector<nn::Dimension>& dimensions) {
  for (const nn::Dimension& dimension : dimensions)
    if (dimension.blocks > 1) return dimension.blocks;
  return 1;
}

// Some rows of a matrix.
template <class T>
Matrix<T> rows_of(const Matrix<T>& of, Range rows) {
  return {of.data() + rows.offset * static_cast<index_t>(of.extent(1)), static_cast<std::size_t>(rows.extent),
          of.extent(1)};
}

}  // namespace

template <class Scalar>
ColumnParallelLinear<Scalar>::ColumnParallelLinear(nn::Tables& tables, const std::string& name,
                                                   const nn::LinearShape& shape, TensorAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name + (axis.options().sequence ? ".gather-tokens" : ".all-reduce"), 0, 0),
      axis_(axis),
      linear_(std::make_unique<nn::Linear<Scalar>>(tables, name, shape)),
      tokens_(shape.tokens.extent) {
  this->set_extents((axis.options().sequence ? axis.tokens().extent : tokens_) * linear_->K(), linear_->outputs());
  if (axis.options().deterministic) nodes_ = axis.my_nodes(leaves_ = leaves_of(shape.N));
}

template <class Scalar>
void ColumnParallelLinear<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*linear_);
  f(*this);
}

template <class Scalar>
typename ColumnParallelLinear<Scalar>::Buffers ColumnParallelLinear<Scalar>::cut(nn::Cutter saved,
                                                                                 nn::Cutter& workspace,
                                                                                 index_t B) const {
  const index_t row = tokens_ * linear_->K();
  Buffers memory;
  if (axis_.options().sequence) {
    memory.x = (keeps() ? saved : workspace).template matrix<Scalar>(B, row);
    memory.dx = workspace.matrix<Scalar>(B, row);
    memory.staging = workspace.vector<Scalar>(axis_.staging(B, linear_->K()));
  }
  if (axis_.options().deterministic) {
    memory.nodes = workspace.vector<Real>(std::ssize(nodes_) * B * row);
    memory.sum = workspace.vector<Real>(B * row);
  }
  return memory;
}

template <class Scalar>
typename ColumnParallelLinear<Scalar>::Buffers ColumnParallelLinear<Scalar>::cut(const nn::Call<Scalar>& call,
                                                                                 std::size_t B) const {
  nn::Cutter workspace(call.workspace);
  return cut(nn::Cutter(call.saved), workspace, static_cast<index_t>(B));
}

template <class Scalar>
nn::Footprint ColumnParallelLinear<Scalar>::footprint(index_t B) const {
  nn::Cutter saved, workspace;
  cut(saved, workspace, B);
  if (keeps()) saved.matrix<Scalar>(B, tokens_ * linear_->K());
  return {.saved = saved.used(), .workspace = workspace.used()};
}

template <class Scalar>
ConstMatrix<Scalar> ColumnParallelLinear<Scalar>::whole_input(Part part, const nn::Call<Scalar>& call,
                                                              const Buffers& memory, ConstMatrix<Scalar> x) const {
  if (!axis_.options().sequence) return x;
  this->observed(call, part,
                 [&] { axis_.gather_tokens(call.context.exec(), linear_->K(), x, memory.x, memory.staging); });
  return memory.x;
}

template <class Scalar>
void ColumnParallelLinear<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                           Matrix<Scalar> y) const {
  linear_->forward(call, whole_input(Part::forward, call, cut(call, y.extent(0)), x), y);
}

// dx = the tree over all ranks' nodes; of my tokens.
template <class Scalar>
void ColumnParallelLinear<Scalar>::reduce_nodes(const nn::Call<Scalar>& call, const Buffers& memory,
                                                Matrix<Scalar> dx) const {
  const Exec& exec = call.context.exec();
  axis_.run(axis_.tree_allreduce(static_cast<index_t>(memory.sum.extent(0)), leaves_), exec,
            ConstVector<Real>(memory.nodes), memory.sum);
  if (!axis_.options().sequence) return kernels::cast<Scalar, Real>(exec, memory.sum, nn::flat(dx));
  const index_t K = linear_->K(), mine = axis_.tokens().extent * K;
  for (index_t b = 0; b < static_cast<index_t>(dx.extent(0)); ++b)
    kernels::cast<Scalar, Real>(
        exec, {memory.sum.data() + (b * tokens_ + axis_.tokens().offset) * K, static_cast<std::size_t>(mine)},
        {dx.data() + b * mine, static_cast<std::size_t>(mine)});
}

template <class Scalar>
void ColumnParallelLinear<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                            ConstMatrix<Scalar> y, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const TensorOptions& options = axis_.options();
  const Exec& exec = call.context.exec();
  const Buffers memory = cut(call, dy.extent(0));
  const bool wanted = dx.data() != nullptr && half != Half::weights;
  ConstMatrix<Scalar> from = x;
  if (half != Half::input && options.sequence)
    from = keeps() ? memory.x : whole_input(Part::backward_input, call, memory, x);

  if (wanted && options.deterministic) {
    linear_->backward_input_nodes(call, nodes_, y, dy, memory.nodes);
    this->observed(call, Part::backward_input, [&] { reduce_nodes(call, memory, dx); });
  } else if (half != Half::weights) {
    linear_->backward(Half::input, call, from, y, dy, wanted && options.sequence ? memory.dx : dx);
    if (wanted)
      this->observed(call, Part::backward_input, [&] {
        if (options.sequence) return axis_.reduce_scatter_tokens(exec, linear_->K(), memory.dx, dx, memory.staging);
        comm::Plan<Scalar>& plan = axis_.allreduce(static_cast<index_t>(dx.size()));
        if (half == Half::input) return axis_.run(plan, exec, nn::flat(dx));
        axis_.flights().launch(0, plan, [&] { plan.start(exec, nn::flat(dx)); });
      });
  }
  if (half == Half::input) return;
  linear_->backward(Half::weights, call, from, y, dy, {});
  if (!axis_.flights().idle()) this->observed(call, Part::backward_input, [&] { axis_.flights().finish(); });
}

template <class Scalar>
RowParallelLinear<Scalar>::RowParallelLinear(nn::Tables& tables, const std::string& name, const nn::LinearShape& shape,
                                             TensorAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name + (axis.options().sequence ? ".scatter-tokens" : ".all-reduce"), 0, 0),
      axis_(axis),
      activation_(shape.activation),
      linear_(std::make_unique<nn::Linear<Scalar>>(tables, name, without_activation(shape))),
      tokens_(shape.tokens.extent),
      all_K_(shape.K.global),
      leaves_(shape.K_blocks) {
  this->set_extents(linear_->inputs(), (axis.options().sequence ? axis.tokens().extent : tokens_) * linear_->N());
  if (linear_->bias().extent > 0) this->reads(linear_->bias());
  if (axis.options().deterministic) nodes_ = axis.my_nodes(leaves_);
}

template <class Scalar>
void RowParallelLinear<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*linear_);
  f(*this);
}

template <class Scalar>
std::size_t RowParallelLinear<Scalar>::gathered_bytes(index_t B) const {
  return axis_.options().sequence ? static_cast<std::size_t>(B * tokens_ * linear_->N()) * sizeof(Scalar) : 0;
}

template <class Scalar>
typename RowParallelLinear<Scalar>::Buffers RowParallelLinear<Scalar>::cut(nn::Cutter& workspace, index_t B) const {
  const index_t row = tokens_ * linear_->N();
  Buffers memory;
  if (axis_.options().sequence) {
    memory.y = workspace.matrix<Scalar>(B, row);
    memory.staging = workspace.vector<Scalar>(axis_.staging(B, linear_->N()));
  }
  if (axis_.options().deterministic) {
    memory.nodes = workspace.vector<Real>(std::ssize(nodes_) * B * row);
    memory.sum = workspace.vector<Real>(B * row);
  }
  return memory;
}

template <class Scalar>
nn::Footprint RowParallelLinear<Scalar>::footprint(index_t B) const {
  nn::Cutter workspace, pending;
  cut(workspace, B);
  pending.skip(gathered_bytes(B));
  return {.pending = pending.used(), .workspace = workspace.used()};
}

template <class Scalar>
void RowParallelLinear<Scalar>::complete(const nn::Call<Scalar>& call, Matrix<Scalar> y) const {
  if (linear_->bias().extent == 0 && activation_ == kernels::Activation::identity) return;
  const Matrix<Scalar> rows = nn::split_rows(y, linear_->N());
  kernels::linear_complete<Scalar, Scalar>(call.context.exec(), activation_, rows, call.weights.vector(linear_->bias()),
                                           rows);
}

template <class Scalar>
void RowParallelLinear<Scalar>::complete(const nn::Call<Scalar>& call, ConstVector<Real> sum, Matrix<Scalar> y) const {
  const Slice mine = axis_.options().sequence ? axis_.tokens() : whole(tokens_);
  const index_t N = linear_->N();
  const Matrix<Scalar> rows = nn::split_rows(y, N);
  const ConstMatrix<Real> sums(sum.data(), sum.size() / static_cast<std::size_t>(N), static_cast<std::size_t>(N));
  const auto B = static_cast<index_t>(y.extent(0)), calls = mine.extent == tokens_ ? 1 : B,
             each = B / std::max<index_t>(calls, 1);
  for (index_t b = 0; b < calls; ++b)
    kernels::linear_complete<Scalar, Real>(
        call.context.exec(), activation_, rows_of(sums, {b * tokens_ + mine.offset, each * mine.extent}),
        call.weights.vector(linear_->bias()), rows_of(rows, {b * mine.extent, each * mine.extent}));
}

template <class Scalar>
void RowParallelLinear<Scalar>::forward_in_chunks(index_t chunks, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                                  Matrix<Scalar> y) const {
  if (chunks == 1) {
    linear_->forward(call, x, y);
    return this->observed(call, Part::forward, [&] {
      axis_.run(axis_.allreduce(static_cast<index_t>(y.size())), call.context.exec(), nn::flat(y));
      complete(call, y);
    });
  }
  const ConstMatrix<Scalar> from = nn::split_rows(x, linear_->K());
  const Matrix<Scalar> to = nn::split_rows(y, linear_->N());
  const auto rows = static_cast<index_t>(to.extent(0));
  chunks = std::min(chunks, rows);
  for (index_t k = 0; k < chunks; ++k) {
    const Slice part = partition(rows, chunks, k);
    const Matrix<Scalar> sums = rows_of(to, {part.offset, part.extent});
    linear_->forward_rows(call, rows_of(from, {part.offset, part.extent}), sums);
    this->observed(call, Part::forward, [&] {
      comm::Plan<Scalar>& plan = axis_.allreduce(static_cast<index_t>(sums.size()), k);
      axis_.flights().launch(static_cast<int>(k), plan, [&] { plan.start(call.context.exec(), nn::flat(sums)); });
      axis_.flights().progress();
    });
  }
  this->observed(call, Part::forward, [&] {
    axis_.flights().finish();
    complete(call, y);
  });
}

// The median of some trials, in which each number of parts takes its turn: y is left as by any of them. Ranks begin
// together, so that nobody's time is that of waiting for what others did before.
template <class Scalar>
OverlapTiming RowParallelLinear<Scalar>::measure(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                                 Matrix<Scalar> y) const {
  constexpr std::size_t rounds = 5;
  static const std::string label = "partita::parallel::RowParallelLinear: the clock of a trial";
  const index_t rows = static_cast<index_t>(y.extent(0)) * tokens_;
  const auto fits = [&](std::size_t c) { return chunk_candidates[c] <= std::max<index_t>(rows, 1); };
  nn::Observer nobody;
  const nn::Call<Scalar> quiet{call.context, call.weights, call.running, nobody};
  std::array<std::array<double, rounds>, chunk_candidates.size()> trials{};
  for (std::size_t round = 0; round <= rounds; ++round)  // the first makes plans and the vendor's primitives
    for (std::size_t c = 0; c < chunk_candidates.size(); ++c) {
      if (!fits(c)) continue;
      axis_.ranks().barrier();
      const std::int64_t from = now_ns();
      forward_in_chunks(chunk_candidates[c], quiet, x, y);
      call.context.exec().fence(label);
      if (round > 0) trials[c][round - 1] = seconds(now_ns() - from);
    }
  OverlapTiming timing;
  for (std::size_t c = 0; c < trials.size(); ++c) {
    std::ranges::sort(trials[c]);
    timing.seconds[c] = fits(c) ? trials[c][rounds / 2] : std::numeric_limits<double>::infinity();
  }
  return timing;
}

template <class Scalar>
void RowParallelLinear<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const TensorOptions& options = axis_.options();
  const Exec& exec = call.context.exec();
  nn::Cutter workspace(call.workspace);
  const Buffers memory = cut(workspace, static_cast<index_t>(y.extent(0)));
  if (options.deterministic) {
    linear_->forward_nodes(call, nodes_, x, memory.nodes);
    this->observed(call, Part::forward, [&] {
      axis_.run(axis_.tree_allreduce(static_cast<index_t>(memory.sum.extent(0)), leaves_), exec,
                ConstVector<Real>(memory.nodes), memory.sum);
      complete(call, memory.sum, y);
    });
  } else if (options.sequence) {
    linear_->forward(call, x, memory.y);
    this->observed(call, Part::forward, [&] {
      axis_.reduce_scatter_tokens(exec, linear_->N(), memory.y, y, memory.staging);
      complete(call, y);
    });
  } else {
    const ProductShape product{static_cast<index_t>(y.extent(0)) * tokens_, linear_->N(), all_K_};
    if (axis_.overlap().must_measure(product)) axis_.overlap().know(product, measure(call, x, y));
    forward_in_chunks(axis_.overlap().chunks(product), call, x, y);
  }
}

template <class Scalar>
void RowParallelLinear<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                         ConstMatrix<Scalar> y, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const Exec& exec = call.context.exec();
  nn::Cutter workspace(call.workspace);
  const Buffers memory = cut(workspace, static_cast<index_t>(dy.extent(0)));
  Matrix<Scalar> whole = dy;
  if (axis_.options().sequence) {
    whole = memory.y;
    if (call.pending != nullptr)
      whole = nn::Cutter(call.pending).matrix<Scalar>(static_cast<index_t>(dy.extent(0)), tokens_ * linear_->N());
  }
  if (half != Half::weights && (axis_.options().sequence || activation_ != kernels::Activation::identity))
    this->observed(call, Part::backward_input, [&] {
      if (activation_ != kernels::Activation::identity) kernels::activation_backward<Scalar>(exec, activation_, y, dy);
      if (axis_.options().sequence) axis_.gather_tokens(exec, linear_->N(), dy, whole, memory.staging);
    });
  linear_->backward(half, call, x, y, whole, dx);
}

#define PARTITA_TENSOR_LINEAR(S)          \
  template class ColumnParallelLinear<S>; \
  template class RowParallelLinear<S>;
PARTITA_TENSOR_LINEAR(float)
PARTITA_TENSOR_LINEAR(double)
PARTITA_TENSOR_LINEAR(bfloat16)
PARTITA_TENSOR_LINEAR(float16)
#undef PARTITA_TENSOR_LINEAR

}  // namespace partita::parallel
