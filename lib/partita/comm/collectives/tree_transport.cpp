// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/tree_transport.hpp>

#include <algorithm>
#include <string>

#include <partita/comm/collectives/flow.hpp>
#include <partita/comm/collectives/mpi_calls.hpp>

namespace partita::comm {

using detail::Copy;
using detail::Side;

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

// Elements of the segments of `count` ranks from `first` on, mod P.
index_t span(const Segments& segments, int first, int count) {
  const int P = segments.ranks();
  const auto bound = [&](int rank) { return rank == P ? segments.elements() : segments[rank].offset; };
  const int end = first + count;
  return end <= P ? bound(end) - bound(first) : segments.elements() - bound(first) + bound(end - P);
}

class Hops final : public Schedule {
 public:
  Hops(const Segments& segments, std::vector<index_t> first, int rank)
      : segments_(segments), first_(std::move(first)), rank_(rank) {
    index_t longest = 0;
    for (int hop = 1; hop < P(); ++hop) {
      transit_ = std::max(transit_, rest(at(-hop), hop));
      longest = std::max({longest, block(at(1 - hop), hop), rest(at(1 - hop), hop), block(at(-hop), hop), transit_});
    }
    pieces_ = (longest + longest_message - 1) / longest_message;
  }

  index_t sends() const override { return 2 * pieces_ * (P() - 1); }
  index_t receives() const override { return sends(); }
  Message send(index_t i) const override {
    const int hop = hop_of(i), origin = at(1 - hop);
    const Place place = hop == 1 ? Place::input : Place::scratch;
    const index_t from = hop == 1 ? 0 : transit_offset(hop - 1);
    const Range range =
        is_rest(i) ? Range{from + block(origin, hop), rest(origin, hop)} : Range{from, block(origin, hop)};
    return {at(1), place, piece(range, i), false, 2 * pieces_ * (hop - 1)};
  }
  Message receive(index_t i) const override {
    const int hop = hop_of(i), origin = at(-hop);
    // What lies in transit is overwritten when it has been passed on, one hop later.
    if (is_rest(i))
      return {at(-1), Place::scratch, piece({transit_offset(hop), rest(origin, hop)}, i), false,
              2 * pieces_ * (hop - 1)};
    const index_t first = first_[static_cast<std::size_t>(origin)] * segments_[rank_].extent;
    return {at(-1), Place::output, piece({first, block(origin, hop)}, i)};
  }
  index_t scratch() const override { return 2 * transit_; }

 private:
  static constexpr index_t longest_message = index_t{1} << 30;  // MPI counts to 2^31 - 1

  int P() const { return segments_.ranks(); }
  int at(int distance) const { return (rank_ + distance + P()) % P(); }
  int hop_of(index_t i) const { return 1 + static_cast<int>(i / (2 * pieces_)); }
  bool is_rest(index_t i) const { return i % (2 * pieces_) >= pieces_; }
  index_t transit_offset(int hop) const { return hop % 2 * transit_; }
  index_t nodes(int origin) const {
    return first_[static_cast<std::size_t>(origin) + 1] - first_[static_cast<std::size_t>(origin)];
  }
  // Of the nodes of `origin`, what arrives in a hop and what goes further.
  index_t block(int origin, int hop) const { return nodes(origin) * segments_[(origin + hop) % P()].extent; }
  index_t rest(int origin, int hop) const {
    return nodes(origin) * span(segments_, (origin + hop + 1) % P(), P() - 1 - hop);
  }
  Range piece(Range of, index_t i) const {
    const index_t begin = std::min(i % pieces_ * longest_message, of.extent);
    return {of.offset + begin, std::min(longest_message, of.extent - begin)};
  }

  Segments segments_;
  std::vector<index_t> first_;
  int rank_;
  index_t pieces_ = 0, transit_ = 0;
};

}  // namespace

std::unique_ptr<Schedule> hop_schedule(const Segments& segments, std::vector<index_t> first, int rank) {
  return std::make_unique<Hops>(segments, std::move(first), rank);
}

template <class S, Side side>
TreeTransport<S, side>::TreeTransport(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                                      const Segments& segments, bool everywhere, RingOptions options)
    : rank_(comm.rank()), P_(comm.size()), mine_(segments[comm.rank()]), longest_(segments.longest()) {
  plan_merges(nodes.leaves());
  leaving_ =
      make_buffer<Buffer>("partita::comm::tree::leaving", node_count(rank_) * (segments.elements() - mine_.extent));
  arrived_ = make_buffer<Buffer>("partita::comm::tree::arrived", first_node_.back() * mine_.extent);
  plan_copies(segments, nodes.stride > 0 ? nodes.stride : nodes.elements);

  constexpr auto size = static_cast<index_t>(sizeof(S));
  const auto merges = static_cast<double>(merges_.extent(0) / 2);
  work_.memory_bytes =
      copy_bytes((static_cast<index_t>(leaving_.extent(0)) + (node_count(rank_) + 1) * mine_.extent) * size) +
      merges * sum_bytes(mine_.extent * size);
  if (P_ == 1) return;
  if (how == Allreduce::mpi) {
    moves_ = mpi_moves(comm, segments);
    if (everywhere) {
      alone_.emplace(comm.duplicate(comm.name()));
      gathers_ = mpi_all_gather<S>(*alone_, segments);
    }
  } else {
    moves_ = std::make_unique<Flow<S, side>>(comm, comm.claim_tag(), hop_schedule(segments, first_node_, rank_));
    if (everywhere)
      gathers_ = std::make_unique<Flow<S, side>>(
          comm, comm.claim_tag(),
          ring_schedule(segments, rank_, RingPart::all_gather, options.chunk(segments.longest(), size)));
  }
  work_ += moves_->work();
  if (gathers_) {
    Work gathered = gathers_->work();
    gathered.memory_bytes = 0;  // in place
    work_ += gathered;
  }
}

template <class S, Side side>
void TreeTransport<S, side>::plan_merges(const Leaves& leaves) {
  const Segments shares = leaves.over(P_);
  std::vector<Node> all;
  first_node_ = {0};
  for (int rank = 0; rank < P_; ++rank) {
    const Range theirs = shares[rank];
    const std::vector<Node> cover = tree_cover(leaves.count, theirs.offset, theirs.end());
    all.insert(all.end(), cover.begin(), cover.end());
    first_node_.push_back(static_cast<index_t>(all.size()));
  }
  std::vector<index_t> pairs;
  for (const Merge& merge : tree_merges(leaves.count, all)) pairs.insert(pairs.end(), {merge.into, merge.from});
  merges_ = to_table<Table<index_t>>("partita::comm::tree::merges", pairs);
}

template <class S, Side side>
void TreeTransport<S, side>::plan_copies(const Segments& segments, index_t stride) {
  std::vector<Copy> leave, keep;
  index_t to = 0;
  for (int distance = 1; distance < P_; ++distance) {
    const Range theirs = segments[(rank_ + distance) % P_];
    for (index_t k = 0; k < node_count(rank_); ++k, to += theirs.extent)
      leave.push_back({k * stride + theirs.offset, to, theirs.extent});
  }
  for (index_t k = 0; k < node_count(rank_); ++k)
    keep.push_back({k * stride + mine_.offset, (first_node_[rank_] + k) * mine_.extent, mine_.extent});
  leave_ = to_table<Table<Copy>>("partita::comm::tree::leave", leave);
  keep_ = to_table<Table<Copy>>("partita::comm::tree::keep", keep);
}

template <class S, Side side>
std::unique_ptr<Transport<S>> TreeTransport<S, side>::mpi_moves(const Communicator& comm,
                                                                const Segments& segments) const {
  using detail::mpi_count;
  struct Counts {
    std::vector<int> send, send_at, receive, receive_at;
  };
  const auto counts = std::make_shared<Counts>();
  counts->send.assign(static_cast<std::size_t>(P_), 0);
  counts->send_at = counts->send;
  index_t at = 0, messages_elements = 0;
  for (int distance = 1; distance < P_; ++distance) {
    const auto to = static_cast<std::size_t>((rank_ + distance) % P_);
    const index_t count = node_count(rank_) * segments[static_cast<index_t>(to)].extent;
    counts->send[to] = mpi_count(count, "MPI_Alltoallv");
    counts->send_at[to] = mpi_count(at, "MPI_Alltoallv");
    at += count;
    messages_elements += count;
  }
  for (int from = 0; from < P_; ++from) {
    counts->receive.push_back(from == rank_ ? 0 : mpi_count(node_count(from) * mine_.extent, "MPI_Alltoallv"));
    counts->receive_at.push_back(mpi_count(first_node_[from] * mine_.extent, "MPI_Alltoallv"));
  }
  const MPI_Comm handle = comm.handle();
  const MPI_Datatype type = detail::mpi_type<S>();
  const auto post = [=](const S* from, S* into, std::vector<MPI_Request>& requests) {
    detail::check(MPI_Ialltoallv(from, counts->send.data(), counts->send_at.data(), type, into, counts->receive.data(),
                                 counts->receive_at.data(), type, handle, &requests.emplace_back()),
                  "MPI_Ialltoallv");
  };
  const auto block = [=](const S* from, S* into) {
    detail::check(MPI_Alltoallv(from, counts->send.data(), counts->send_at.data(), type, into, counts->receive.data(),
                                counts->receive_at.data(), type, handle),
                  "MPI_Alltoallv");
  };
  const index_t payload = messages_elements * static_cast<index_t>(sizeof(S));
  return std::make_unique<MpiTransport<S>>(post, block, 1, payload,
                                           Work{static_cast<double>(P_ - 1), static_cast<double>(payload), 0});
}

template <class S, Side side>
void TreeTransport<S, side>::start(const Exec& exec, const S* nodes, S* sum, TrafficEntry* traffic) {
  if constexpr (side == Side::exec) space_ = exec;
  exec_ = exec;
  sum_ = sum;
  traffic_ = traffic;
  const auto pack = [&](const Table<Copy>& copies, const Buffer& into) {
    detail::copy_pieces<side>(space_, copies.data(), static_cast<index_t>(copies.extent(0)), longest_, nodes,
                              into.data());
  };
  pack(leave_, leaving_);
  pack(keep_, arrived_);
  static const std::string label = "partita::comm::tree: packed";  // made once
  space_.fence(label);
  stage_ = Stage::moving;
  if (moves_) moves_->start(exec, leaving_.data(), arrived_.data(), traffic);
}

template <class S, Side side>
bool TreeTransport<S, side>::advance(bool wait) {
  if (stage_ == Stage::moving) {
    if (moves_ && !moves_->advance(wait)) return false;
    add_up();
    stage_ = Stage::gathering;
    if (gathers_) gathers_->start(exec_, sum_ + mine_.offset, sum_, traffic_);
  }
  if (stage_ == Stage::gathering) {
    if (gathers_ && !gathers_->advance(wait)) return false;
    stage_ = Stage::idle;
  }
  return true;
}

template <class S, Side side>
void TreeTransport<S, side>::withdraw() noexcept {
  if (stage_ == Stage::moving && moves_) moves_->withdraw();
  if (stage_ == Stage::gathering && gathers_) gathers_->withdraw();
}

template <class S, Side side>
void TreeTransport<S, side>::add_up() {
  detail::add_merges<side>(space_, merges_.data(), static_cast<index_t>(merges_.extent(0) / 2), arrived_.data(),
                           mine_.extent);
  detail::copy<side>(space_, static_cast<const S*>(arrived_.data()), sum_ + (gathers_ ? mine_.offset : 0),
                     mine_.extent);
  static const std::string label = "partita::comm::tree: the sum must be ready before MPI sends it";  // made once
  space_.fence(label);
}

template class TreeTransport<float, Side::exec>;
template class TreeTransport<double, Side::exec>;
template class TreeTransport<float, Side::host>;
template class TreeTransport<double, Side::host>;

}  // namespace partita::comm
