// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/gradient_store.hpp>

#include <algorithm>
#include <numeric>
#include <utility>

#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel::server {

template <class Real>
GradientStore<Real>::GradientStore(GradientShape shape, bool tree)
    : shape_(std::move(shape)), tree_(tree && shape_.leaves > 0) {
  index_t most = 1;
  for (const std::vector<Node>& cover : shape_.covers) {
    first_.push_back(std::ssize(nodes_));
    nodes_.insert(nodes_.end(), cover.begin(), cover.end());
    most = std::max(most, std::ssize(cover));
  }
  if (tree_)
    merges_ = tree_merges(shape_.leaves, nodes_);
  else
    arriving_ = make_buffer<Real>("partita::parallel::GradientStore::arriving", most * shape_.keys);
  allocated_ = static_cast<index_t>(arriving_.size() * sizeof(Real));
}

template <class Real>
Vector<Real> GradientStore<Real>::node(const Vector<Real>& of, index_t k) const {
  return part(of, Range{k * shape_.keys, shape_.keys});
}

template <class Real>
typename GradientStore<Real>::Sum& GradientStore<Real>::sum(index_t update) {
  const auto found = sums_.find(update);
  if (found != sums_.end()) return found->second;
  Sum sum;
  if (free_.empty()) {
    const index_t nodes = tree_ ? std::ssize(nodes_) : 1;
    sum.buffer = make_buffer<Real>("partita::parallel::GradientStore::sum", nodes * shape_.keys);
    sum.present.assign(static_cast<std::size_t>(nodes), false);
    allocated_ += static_cast<index_t>(sum.buffer.size() * sizeof(Real));
  } else {
    sum = std::move(free_.back());
    free_.pop_back();
  }
  return sums_.emplace(update, std::move(sum)).first->second;
}

template <class Real>
Vector<Real> GradientStore<Real>::place(index_t update, int worker, index_t k) {
  Sum& of = sum(update);
  if (tree_) return node(of.buffer, first_node(worker) + k);
  if (!of.begun && nodes(worker) == 1) return of.buffer;
  return node(arriving_, k);
}

template <class Real>
void GradientStore<Real>::keep(const Exec& exec, index_t update, int worker, index_t samples) {
  Sum& of = sum(update);
  of.samples += samples;
  if (!tree_) return add_to_chain(exec, of, worker);
  for (index_t k = 0; k < nodes(worker); ++k) of.present[static_cast<std::size_t>(first_node(worker) + k)] = true;
}

// A worker's nodes are the largest that its chunks fill: none of them can be merged, they are added as they are.
template <class Real>
void GradientStore<Real>::add_to_chain(const Exec& exec, Sum& of, int worker) {
  if (!of.begun && nodes(worker) == 1) {  // it lies there already: place()
    of.begun = true;
    return;
  }
  for (index_t k = 0; k < nodes(worker); ++k) {
    if (std::exchange(of.begun, true))
      kernels::add<Real>(exec, node(arriving_, k), of.buffer);
    else
      kernels::copy<Real>(exec, node(arriving_, k), of.buffer);
  }
}

// A sum whose other part is missing is that part.
template <class Real>
Vector<Real> GradientStore<Real>::whole_tree(const Exec& exec, Sum& of) const {
  std::vector<index_t> at(nodes_.size());  // in which buffer the value of each node is; -1: nobody has handed it in
  for (std::size_t k = 0; k < at.size(); ++k) at[k] = of.present[k] ? static_cast<index_t>(k) : -1;
  for (const Merge& merge : merges_) {
    index_t& into = at[static_cast<std::size_t>(merge.into)];
    const index_t from = at[static_cast<std::size_t>(merge.from)];
    if (from < 0) continue;
    if (into < 0)
      into = from;
    else
      kernels::add<Real>(exec, node(of.buffer, from), node(of.buffer, into));
  }
  if (at.empty() || at.front() < 0) refuse<Error>("GradientStore", "an update without a gradient", "at least one");
  return node(of.buffer, at.front());
}

template <class Real>
typename GradientStore<Real>::Mean GradientStore<Real>::mean(const Exec& exec, index_t update) {
  Sum& of = sum(update);
  if (of.samples == 0) refuse<Error>("GradientStore", "an update without a gradient", "at least one");
  const Mean mean{tree_ ? whole_tree(exec, of) : of.buffer, of.samples};
  if (of.samples != shape_.batch)
    kernels::scale<Real>(exec, static_cast<Real>(static_cast<double>(shape_.batch) / static_cast<double>(of.samples)),
                         mean.gradient);
  return mean;
}

template <class Real>
void GradientStore<Real>::release(index_t update) {
  auto found = sums_.extract(update);
  if (found.empty()) return;
  Sum& of = found.mapped();
  of.samples = 0;
  of.begun = false;
  std::fill(of.present.begin(), of.present.end(), false);
  free_.push_back(std::move(of));
}

template class GradientStore<float>;
template class GradientStore<double>;

}  // namespace partita::parallel::server
