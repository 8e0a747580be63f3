// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/tensor_axis.hpp>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/core/partition.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/tensor/slices.hpp>

namespace partita::parallel {
namespace {

// Some tokens of all rows, and the same where ranks' tokens lie one after the other.
template <class Scalar>
Matrix<Scalar> columns(Matrix<Scalar> whole, Slice tokens, index_t C) {
  return Kokkos::subview(whole, Kokkos::ALL, Kokkos::pair<index_t, index_t>(tokens.offset * C, tokens.end() * C));
}
template <class Scalar>
Matrix<Scalar> rank_rows(Vector<Scalar> staging, Slice tokens, index_t C, std::size_t B) {
  return {staging.data() + tokens.offset * C * static_cast<index_t>(B), B, static_cast<std::size_t>(tokens.extent * C)};
}

}  // namespace

template <class Scalar>
TensorAxis<Scalar>::TensorAxis(const comm::Communicator& axis, const TensorOptions& options, index_t T,
                               index_t token_leaves)
    : axis_(axis), options_(options), overlap_(options.overlap_chunks) {
  for (int rank = 0; rank < axis.size(); ++rank)
    tokens_.push_back(options.sequence ? share_of(T, token_leaves, axis.size(), rank) : whole(T));
}

template <class Scalar>
template <class Plan, class Key, class Make>
Plan& TensorAxis<Scalar>::kept(std::map<Key, std::unique_ptr<Plan>>& plans, const Key& key, const Make& make) {
  const auto found = plans.find(key);
  return found != plans.end() ? *found->second : *plans.emplace(key, make()).first->second;
}

template <class Scalar>
comm::Plan<Scalar>& TensorAxis<Scalar>::allreduce(index_t n, index_t number) {
  return kept(allreduces_, {n, number},
              [&] { return std::make_unique<comm::AllreducePlan<Scalar>>(axis_, options_.how, n); });
}

template <class Scalar>
comm::Plan<nn::Sum<Scalar>>& TensorAxis<Scalar>::tree_allreduce(index_t n, index_t leaves) {
  return kept(trees_, {n, leaves}, [&] {
    return std::make_unique<comm::TreeAllreducePlan<Real>>(axis_, options_.how, comm::TreeNodes{n, leaves});
  });
}

template <class Scalar>
std::vector<Node> TensorAxis<Scalar>::my_nodes(index_t leaves) const {
  const index_t first = partition(leaves, axis_.size(), axis_.rank()).offset;
  std::vector<Node> nodes = comm::my_nodes(axis_, leaves);
  for (Node& node : nodes) node = {node.lo - first, node.hi - first};
  return nodes;
}

template <class Scalar>
comm::Segments TensorAxis<Scalar>::segments(index_t of_token) const {
  std::vector<index_t> bounds = {0};
  for (const Slice& part : tokens_) bounds.push_back(part.end() * of_token);
  return comm::Segments(std::move(bounds));
}

template <class Scalar>
void TensorAxis<Scalar>::pack(const Exec& exec, index_t C, Matrix<Scalar> whole, Vector<Scalar> staging) const {
  for (const Slice& part : tokens_)
    kernels::copy<Scalar>(exec, columns(whole, part, C), rank_rows(staging, part, C, whole.extent(0)));
}

template <class Scalar>
void TensorAxis<Scalar>::unpack(const Exec& exec, index_t C, Vector<Scalar> staging, Matrix<Scalar> whole) const {
  for (const Slice& part : tokens_)
    kernels::copy<Scalar>(exec, rank_rows(staging, part, C, whole.extent(0)), columns(whole, part, C));
}

// One row lies rank by rank as it is.
template <class Scalar>
void TensorAxis<Scalar>::gather_tokens(const Exec& exec, index_t C, ConstMatrix<Scalar> local, Matrix<Scalar> whole,
                                       Vector<Scalar> staging) {
  const auto B = static_cast<index_t>(whole.extent(0));
  const auto from = ConstVector<Scalar>(local.data(), local.size());
  comm::Plan<Scalar>& plan = kept(gathers_, B * C, [&] {
    return std::make_unique<comm::AllGatherPlan<Scalar>>(axis_, comm::via(options_.how), segments(B * C));
  });
  if (B == 1) return run(plan, exec, from, nn::flat(whole));
  run(plan, exec, from, staging);
  unpack(exec, C, staging, whole);
}

template <class Scalar>
void TensorAxis<Scalar>::reduce_scatter_tokens(const Exec& exec, index_t C, Matrix<Scalar> whole, Matrix<Scalar> local,
                                               Vector<Scalar> staging) {
  const auto B = static_cast<index_t>(whole.extent(0));
  comm::Plan<Scalar>& plan = kept(scatters_, B * C, [&] {
    return std::make_unique<comm::ReduceScatterPlan<Scalar>>(axis_, comm::via(options_.how), segments(B * C));
  });
  const Vector<Scalar> moved = B == 1 ? nn::flat(whole) : staging;
  if (B > 1) pack(exec, C, whole, staging);
  run(plan, exec, moved);
  const ConstVector<Scalar> mine(moved.data() + tokens().offset * B * C, local.size());
  kernels::copy<Scalar>(exec, mine, nn::flat(local));
}

template class TensorAxis<float>;
template class TensorAxis<double>;
template class TensorAxis<bfloat16>;
template class TensorAxis<float16>;

}  // namespace partita::parallel
