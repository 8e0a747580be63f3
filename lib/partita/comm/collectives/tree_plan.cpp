// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/tree_plan.hpp>

#include <algorithm>
#include <string>

#include <partita/comm/closed_forms.hpp>

namespace partita::comm::detail {

namespace {

template <class Table, class T>
Table to_table(const std::string& label, const std::vector<T>& values) {
  Table table(Kokkos::view_alloc(Kokkos::WithoutInitializing, label), values.size());
  const auto host = Kokkos::create_mirror_view(table);
  std::copy(values.begin(), values.end(), host.data());
  Kokkos::deep_copy(table, host);
  return table;
}

template <class Buffer>
Buffer make_buffer(const std::string& label, index_t elements) {
  return Buffer(Kokkos::view_alloc(Kokkos::WithoutInitializing, label), elements);
}

}  // namespace

template <class S, Side side>
TreePlan<S, side>::TreePlan(const Communicator& comm, Allreduce how, index_t elements, index_t chunks,
                            RingOptions options)
    : comm_(&comm), how_(how), elements_(elements), longest_(slice(0)), ring_(comm, elements, options) {
  plan_nodes(chunks);
  const int me = comm.rank();
  leaving_ = make_buffer<Buffer>("partita::comm::tree_allreduce::leaving", bundle(me, 1));
  arrived_ = make_buffer<Buffer>("partita::comm::tree_allreduce::arrived", first_node_.back() * slice(me));
  plan_copies();
  if (how == Allreduce::mpi) {
    plan_mpi();
    return;
  }
  index_t largest = 0, pieces = 0;
  for (int hop = 1; hop < comm.size(); ++hop) {
    largest = std::max(largest, bundle(at(-hop), hop + 1));
    pieces = std::max(pieces, bundle(at(-hop), hop) / max_count + bundle(at(1 - hop), hop) / max_count + 4);
  }
  for (Buffer& transit : transit_) transit = make_buffer<Buffer>("partita::comm::tree_allreduce::transit", largest);
  requests_.reserve(static_cast<std::size_t>(pieces));
}

template <class S, Side side>
index_t TreePlan<S, side>::bundle(int origin, int distance) const {
  index_t elements = 0;
  for (int d = distance; d < comm_->size(); ++d) elements += slice((origin + d) % comm_->size());
  return elements * node_count(origin);
}

template <class S, Side side>
void TreePlan<S, side>::plan_nodes(index_t chunks) {
  std::vector<Node> all;
  first_node_ = {0};
  for (int rank = 0; rank < comm_->size(); ++rank) {
    const Slice leaves = partition(chunks, comm_->size(), rank);
    const std::vector<Node> cover = tree_cover(chunks, leaves.offset, leaves.end());
    all.insert(all.end(), cover.begin(), cover.end());
    first_node_.push_back(static_cast<index_t>(all.size()));
  }
  std::vector<index_t> pairs;
  for (const Merge& merge : tree_merges(chunks, all)) pairs.insert(pairs.end(), {merge.into, merge.from});
  merges_ = to_table<Table<index_t>>("partita::comm::tree_allreduce::merges", pairs);
}

template <class S, Side side>
void TreePlan<S, side>::plan_copies() {
  const int me = comm_->rank();
  std::vector<Copy> leave, keep;
  index_t to = 0;
  for (int distance = 1; distance < comm_->size(); ++distance) {
    const Slice theirs = partition(elements_, comm_->size(), at(distance));
    for (index_t k = 0; k < node_count(me); ++k, to += theirs.extent)
      leave.push_back({k * elements_ + theirs.offset, to, theirs.extent});
  }
  const Slice mine = partition(elements_, comm_->size(), me);
  for (index_t k = 0; k < node_count(me); ++k)
    keep.push_back({k * elements_ + mine.offset, (first_node_[me] + k) * mine.extent, mine.extent});
  leave_ = to_table<Table<Copy>>("partita::comm::tree_allreduce::leave", leave);
  keep_ = to_table<Table<Copy>>("partita::comm::tree_allreduce::keep", keep);
}

template <class S, Side side>
void TreePlan<S, side>::plan_mpi() {
  const int P = comm_->size(), me = comm_->rank();
  send_counts_.assign(P, 0), send_offsets_.assign(P, 0);
  index_t offset = 0;
  for (int distance = 1; distance < P; ++distance) {
    const int to = at(distance);
    const index_t count = node_count(me) * slice(to);
    send_counts_[to] = mpi_count(count, "MPI_Alltoallv");
    send_offsets_[to] = mpi_count(offset, "MPI_Alltoallv");
    offset += count;
  }
  for (int from = 0; from < P; ++from) {
    receive_counts_.push_back(from == me ? 0 : mpi_count(node_count(from) * slice(me), "MPI_Alltoallv"));
    receive_offsets_.push_back(mpi_count(first_node_[from] * slice(me), "MPI_Alltoallv"));
    slice_counts_.push_back(mpi_count(slice(from), "MPI_Allgatherv"));
    slice_offsets_.push_back(mpi_count(partition(elements_, P, from).offset, "MPI_Allgatherv"));
  }
}

template <class S, Side side>
Work TreePlan<S, side>::work() const {
  constexpr auto size = static_cast<index_t>(sizeof(S));
  const int P = comm_->size(), me = comm_->rank();
  const index_t leaving = bundle(me, 1), mine = slice(me);
  const auto merges = static_cast<double>(merges_.extent(0) / 2);
  Work work{0, 0, copy_bytes((leaving + node_count(me) * mine + mine) * size) + merges * sum_bytes(mine * size)};
  if (P == 1) return work;
  if (how_ == Allreduce::mpi) {
    const index_t gathered = closed_forms::ring_all_gather_bytes(elements_, P, me, size);
    return work += {2.0 * (P - 1), static_cast<double>(leaving * size + gathered), 0};
  }
  const auto pieces = [](index_t count) { return static_cast<double>((count + max_count - 1) / max_count); };
  for (int hop = 1; hop < P; ++hop) {
    const index_t block = node_count(at(1 - hop)) * slice(at(1)), rest = bundle(at(1 - hop), hop + 1);
    work += {pieces(block) + pieces(rest), static_cast<double>((block + rest) * size), 0};
  }
  return work += ring_.all_gather_work();
}

template <class S, Side side>
void TreePlan<S, side>::run(const Space<side>& exec, const S* nodes, S* result, TrafficCall& traffic) {
  const Slice mine = partition(elements_, comm_->size(), comm_->rank());
  copy_pieces<side>(exec, leave_.data(), static_cast<index_t>(leave_.extent(0)), longest_, nodes, leaving_.data());
  copy_pieces<side>(exec, keep_.data(), static_cast<index_t>(keep_.extent(0)), longest_, nodes, arrived_.data());
  static const std::string label = "partita::comm::tree_allreduce: packed";  // made once
  exec.fence(label);
  if (comm_->size() > 1) {
    if (how_ == Allreduce::mpi)
      move_by_mpi(traffic);
    else
      move_by_ring(traffic);
  }
  add_merges<side>(exec, merges_.data(), static_cast<index_t>(merges_.extent(0) / 2), arrived_.data(), mine.extent);
  const std::pair<index_t, index_t> root(0, mine.extent);
  Kokkos::deep_copy(exec, Buffer(result + mine.offset, mine.extent), Kokkos::subview(arrived_, root));
  static const std::string ready = "partita::comm::tree_allreduce: my slice of the root is ready";  // made once
  exec.fence(ready);
  if (comm_->size() == 1) return;
  if (how_ == Allreduce::ring) {
    ring_.all_gather(exec, result, traffic);
    return;
  }
  check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, result, slice_counts_.data(), slice_offsets_.data(),
                       mpi_type<S>(), comm_->handle()),
        "MPI_Allgatherv", comm_->name());
  traffic.sent(1, mine.extent * static_cast<index_t>(sizeof(S)));
}

template <class S, Side side>
void TreePlan<S, side>::move_by_mpi(TrafficCall& traffic) {
  check(MPI_Alltoallv(leaving_.data(), send_counts_.data(), send_offsets_.data(), mpi_type<S>(), arrived_.data(),
                      receive_counts_.data(), receive_offsets_.data(), mpi_type<S>(), comm_->handle()),
        "MPI_Alltoallv", comm_->name());
  traffic.sent(1, bundle(comm_->rank(), 1) * static_cast<index_t>(sizeof(S)));
}

// Hop h passes on what left rank - h + 1: first the block for the right neighbour, which has then arrived, then the
// rest, which waits there for the next hop.
template <class S, Side side>
void TreePlan<S, side>::move_by_ring(TrafficCall& traffic) {
  const int me = comm_->rank(), left = at(-1), right = at(1);
  const S* held = leaving_.data();
  for (int hop = 1; hop < comm_->size(); ++hop) {
    const int sent_origin = at(1 - hop), received_origin = at(-hop);
    S* rest = transit_[hop % 2].data();
    const index_t block = node_count(sent_origin) * slice(right);
    requests_.clear();
    receive(arrived_.data() + first_node_[received_origin] * slice(me), node_count(received_origin) * slice(me), left);
    receive(rest, bundle(received_origin, hop + 1), left);
    send(held, block, right, traffic);
    send(held + block, bundle(sent_origin, hop + 1), right, traffic);
    check(MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall",
          comm_->name());
    held = rest;
  }
}

template <class S, Side side>
void TreePlan<S, side>::send(const S* from, index_t count, int to, TrafficCall& traffic) {
  for_each_piece(count, [&](index_t offset, int piece) {
    check(MPI_Isend(from + offset, piece, mpi_type<S>(), to, tree_tag, comm_->handle(), &requests_.emplace_back()),
          "MPI_Isend", comm_->name());
    traffic.sent(1, piece * static_cast<index_t>(sizeof(S)));
  });
}

template <class S, Side side>
void TreePlan<S, side>::receive(S* into, index_t count, int from) {
  for_each_piece(count, [&](index_t offset, int piece) {
    check(MPI_Irecv(into + offset, piece, mpi_type<S>(), from, tree_tag, comm_->handle(), &requests_.emplace_back()),
          "MPI_Irecv", comm_->name());
  });
}

template class TreePlan<float, Side::exec>;
template class TreePlan<double, Side::exec>;
template class TreePlan<float, Side::host>;
template class TreePlan<double, Side::host>;

}  // namespace partita::comm::detail
