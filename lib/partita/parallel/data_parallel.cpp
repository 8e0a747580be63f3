// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/training_phases.hpp>
#include <string>
#include <utility>

namespace partita::parallel {
namespace {

// Rows of chunk `chunk`, counted from the first row of the batch.
Slice chunk_of_batch(const DataParallelOptions& options, index_t chunk) {
  return partition(options.batch, options.chunks, chunk);
}

template <class Scalar>
ConstMatrix<Scalar> part(ConstMatrix<Scalar> x, Slice rows) {
  return {x.data() + rows.offset * static_cast<index_t>(x.extent(1)), static_cast<std::size_t>(rows.extent),
          x.extent(1)};
}

}  // namespace

template <class Scalar>
DataParallel<Scalar>::DataParallel(nn::Model<Scalar>& model, kernels::Context& context, const comm::Communicator& data,
                                   const DataParallelOptions& options, nn::FlatOptimizer<Scalar> optimizer)
    : model_(model), context_(context), data_(data), options_(options), optimizer_(std::move(optimizer)) {
  const index_t n = model_.table().size();
  if (!options_.deterministic) {
    if (options_.batch < data_.size())
      throw UsageError(
          fmt::format("train.batch: a global batch of {} cannot be shared by {} ranks; give at least {}, or "
                      "use fewer ranks",
                      options_.batch, data_.size(), data_.size()));
    rows_ = partition(options_.batch, data_.size(), data_.rank());
    chunk_rows_ = {{0, rows_.extent, rows_.extent}};
    plan_ = std::make_unique<comm::AllreducePlan<Scalar>>(data_, options_.allreduce, n);
  } else {
    options_.chunks = std::min(options_.chunks, options_.batch);
    if (options_.chunks < data_.size())
      throw UsageError(
          fmt::format("train.deterministic_chunks: {} chunks of a batch of {} cannot be shared by {} ranks; "
                      "give at least {} of both, or use fewer ranks",
                      options_.chunks, options_.batch, data_.size(), data_.size()));
    const Slice chunks = partition(options_.chunks, data_.size(), data_.rank());
    first_chunk_ = chunks.offset;
    const index_t first_row = chunk_of_batch(options_, chunks.offset).offset;
    for (index_t c = chunks.offset; c < chunks.offset + chunks.extent; ++c) {
      const Slice rows = chunk_of_batch(options_, c);
      chunk_rows_.push_back({rows.offset - first_row, rows.extent, rows.global});
    }
    const index_t mine = chunk_rows_.back().offset + chunk_rows_.back().extent;
    rows_ = {first_row, mine, options_.batch};
    tree_ = std::make_unique<comm::TreeAllreduce<Scalar>>(data_, options_.allreduce, n, options_.chunks);
    // A sum of 2^d leaves keeps one partial sum for each of its d levels.
    for (index_t leaves = 1; leaves < chunks.extent; leaves *= 2)
      partial_.emplace_back("partita::parallel::DataParallel::partial", n);
  }
  model_.plan(std::max(largest_pass(), options_.planned_rows));
}

template <class Scalar>
index_t DataParallel<Scalar>::largest_pass() const {
  index_t most = 0;
  for (const Slice& rows : chunk_rows_) most = std::max(most, rows.extent);
  return most;
}

// Gradient of one chunk of my rows (of all of them in fast mode).
template <class Scalar>
void DataParallel<Scalar>::backpropagate(std::size_t chunk, ConstMatrix<Scalar> x, ConstVector<std::int32_t> label,
                                         Vector<double> losses, Vector<Scalar> gradients, metrics::PhaseTimer& timer) {
  const Exec& exec = context_.exec();
  const Slice rows = chunk_rows_[chunk];
  const ConstMatrix<Scalar> my_x = part(x, rows);
  const ConstVector<std::int32_t> my_label(label.data() + rows.offset, rows.extent);
  nn::Observer observer;

  timer.mark(phase::forward, exec);
  const ConstMatrix<Scalar> scores = model_.forward(model_.call(context_), 0, my_x, observer);
  timer.mark(phase::loss, exec);
  kernels::loss_forward_backward<Scalar>(
      context_, options_.loss, scores, my_label, 1.0 / static_cast<double>(options_.batch),
      model_.output_gradient(0, rows.extent), Kokkos::View<double, Memory>(losses.data() + chunk));
  timer.mark(phase::backward, exec);
  model_.backward(model_.call(context_), 0, my_x, gradients, observer);
}

// sum = gradient of a node of the tree whose leaves are all mine.
template <class Scalar>
void DataParallel<Scalar>::sum_node(Node node, std::size_t depth, ConstMatrix<Scalar> x,
                                    ConstVector<std::int32_t> label, Vector<double> losses, Vector<Scalar> sum,
                                    metrics::PhaseTimer& timer) {
  if (node.hi - node.lo == 1) {
    backpropagate(static_cast<std::size_t>(node.lo - first_chunk_), x, label, losses, sum, timer);
    return;
  }
  const index_t middle = tree_middle(node);
  sum_node({node.lo, middle}, depth + 1, x, label, losses, sum, timer);
  sum_node({middle, node.hi}, depth + 1, x, label, losses, partial_[depth], timer);
  kernels::add<Scalar>(context_.exec(), partial_[depth], sum);
}

template <class Scalar>
void DataParallel<Scalar>::train_step(ConstMatrix<Scalar> x, ConstVector<std::int32_t> label, Vector<double> losses,
                                      metrics::PhaseTimer& timer) {
  const Exec& exec = context_.exec();
  if (tree_) {
    const std::vector<Node>& cover = tree_->cover();
    for (std::size_t k = 0; k < cover.size(); ++k)
      sum_node(cover[k], 0, x, label, losses, tree_->nodes(static_cast<index_t>(k)), timer);
  } else {
    backpropagate(0, x, label, losses, model_.gradients(), timer);
  }

  if (options_.separate_wait && data_.size() > 1) {
    timer.mark(phase::wait, exec);
    static const std::string ready = "partita::parallel::DataParallel: my gradient is ready";  // made once
    exec.fence(ready);
    data_.barrier();
  }
  timer.mark(phase::allreduce, exec);
  if (tree_)
    tree_->run(exec);
  else
    plan_->run(exec, model_.gradients());

  timer.mark(phase::optimizer, exec);
  optimizer_.step(exec, gradients(), model_.parameters());
  timer.mark(metrics::PhaseTimer::no_phase, exec);
}

template <class Scalar>
void DataParallel<Scalar>::infer_step(ConstMatrix<Scalar> x, ConstVector<std::int32_t> label, Vector<double> losses,
                                      metrics::PhaseTimer& timer) {
  const Exec& exec = context_.exec();
  nn::Observer observer;
  for (std::size_t c = 0; c < chunk_rows_.size(); ++c) {
    const Slice rows = chunk_rows_[c];
    timer.mark(phase::forward, exec);
    const ConstMatrix<Scalar> scores = model_.forward(model_.inference(context_), 0, part(x, rows), observer);
    timer.mark(phase::loss, exec);
    kernels::loss_forward_backward<Scalar>(
        context_, options_.loss, scores, ConstVector<std::int32_t>(label.data() + rows.offset, rows.extent), 1.0,
        model_.output_gradient(0, rows.extent), Kokkos::View<double, Memory>(losses.data() + c));
  }
  timer.mark(metrics::PhaseTimer::no_phase, exec);
}

template <class Scalar>
double DataParallel<Scalar>::mean_loss(std::span<const double> terms) const {
  return tree_sum(terms) / static_cast<double>(options_.batch);
}

template <class Scalar>
bool DataParallel<Scalar>::replicas_agree() const {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), model_.parameters());
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a over the bits
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &host(i), sizeof(Scalar));
    hash = (hash ^ bits) * 1099511628211ULL;
  }
  std::uint64_t roots = hash;
  data_.broadcast(roots);
  return data_.all_of(roots == hash);
}

template class DataParallel<float>;
template class DataParallel<double>;

}  // namespace partita::parallel
