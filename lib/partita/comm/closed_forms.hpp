// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/collectives/schedule.hpp>
#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>

// What a rank must have sent: pure arithmetic that the counters are held to. n elements over P ranks, segments cut by
// partition(n, P, .). Indices of ranks are meant mod P. The parts that a rank sends are added up as bytes or as
// messages: the last argument says which.

namespace partita::comm::closed_forms {

/// Of a part: its bytes.
struct Bytes {
  index_t of_element = 1;
  constexpr index_t operator()(index_t part) const { return part * of_element; }
};

/// Of a part: the messages of at most so many elements that it takes, none for no elements.
struct Messages {
  index_t longest = index_t{1} << 30;
  constexpr index_t operator()(index_t part) const { return (part + longest - 1) / longest; }
};

/// What a rank sends in one call.
struct Sent {
  index_t bytes = 0;
  index_t messages = 0;
};

/// By one closed form, form(count), counted in both ways: elements of so many bytes, at most `longest` in a message.
template <class Form>
Sent sent(index_t of_element, index_t longest, const Form& form) {
  return {form(Bytes{of_element}), form(Messages{longest})};
}

template <class Count>
index_t all_segments_but(const Segments& segments, index_t rank, const Count& count) {
  index_t sum = 0;
  for (index_t q = 0; q < segments.ranks(); ++q) sum += q == rank ? 0 : count(segments[q].extent);
  return sum;
}

/// Every segment but one's own: P-1 steps that pass partial sums on. Over all ranks (P-1) n.
template <class Count>
index_t ring_reduce_scatter(const Segments& segments, index_t rank, const Count& count) {
  return all_segments_but(segments, rank, count);
}

/// Every segment but the right neighbour's, who owns it. Over all ranks (P-1) n.
template <class Count>
index_t ring_all_gather(const Segments& segments, index_t rank, const Count& count) {
  return all_segments_but(segments, (rank + 1) % segments.ranks(), count);
}

/// Both. Over all ranks exactly 2 (P-1) n.
template <class Count>
index_t ring_allreduce(index_t n, index_t P, index_t rank, const Count& count) {
  const Segments segments(n, static_cast<int>(P));
  return ring_reduce_scatter(segments, rank, count) + ring_all_gather(segments, rank, count);
}

/// A rank's part in recursive algorithms: p = 2^floor(log2 P) take part; the first 2 (P - p) ranks come in pairs, of
/// which the even one hands its values over and is given the sum.
struct RecursivePart {
  index_t p = 1, number = 0;
  bool takes_part = true, stands_for_two = false;

  RecursivePart(index_t P, index_t rank) {
    while (2 * p <= P) p *= 2;
    const index_t paired = 2 * (P - p);
    takes_part = rank >= paired || rank % 2 == 1;
    stands_for_two = rank < paired && rank % 2 == 1;
    number = rank < paired ? rank / 2 : rank - (P - p);
  }
};

/// n for each of log2 p rounds; n to hand over or to give back. Over all ranks (p log2 p + 2 (P - p)) n.
template <class Count>
index_t doubling_allreduce(index_t n, index_t P, index_t rank, const Count& count) {
  const RecursivePart part(P, rank);
  if (!part.takes_part) return count(n);
  index_t sent = part.stands_for_two ? count(n) : 0;
  for (index_t q = 1; q < part.p; q *= 2) sent += count(n);
  return sent;
}

/// Of p blocks, partition(n, p, .): on the way down what the partner keeps, p/2, ..., 2, 1 blocks; on the way up the 1,
/// 2, 4, ... that one has. n to hand over or to give back. Over all ranks 2 (p - 1) n + 2 (P - p) n.
template <class Count>
index_t halving_allreduce(index_t n, index_t P, index_t rank, const Count& count) {
  const RecursivePart part(P, rank);
  if (!part.takes_part) return count(n);
  index_t sent = part.stands_for_two ? count(n) : 0;
  for (index_t blocks = 1; blocks < part.p; blocks *= 2) {
    const auto elements = [&](index_t first) {
      return partition(n, part.p, first + blocks - 1).end() - partition(n, part.p, first).offset;
    };
    const index_t mine = part.number / blocks * blocks;
    sent += count(elements(mine ^ blocks)) + count(elements(mine));
  }
  return sent;
}

/// n to each child. Over all ranks (P-1) n.
template <class Count>
index_t broadcast(index_t n, index_t P, index_t rank, index_t root, Tree tree, const Count& count) {
  const index_t number = (rank - root + P) % P;
  if (tree == Tree::chain) return number + 1 < P ? count(n) : 0;
  index_t children = 0;
  for (index_t bit = 1; number + bit < P && (number == 0 || bit < (number & -number)); bit *= 2) ++children;
  return children * count(n);
}

/// A worker's gradient for one server: the server's keys, or those that it touches, in as many messages as the gradient
/// has nodes.
template <class Count>
index_t push(index_t nodes, index_t keys, const Count& count) {
  return nodes * count(keys);
}

/// A server's answer to a pull: its keys, or those that were asked for; and of the latter a worker's question: the
/// numbers of rows.
template <class Count>
index_t pull(index_t keys, const Count& count) {
  return count(keys);
}

/// To each neighbour. Over all ranks of a line 2 (P-1) halo, of a circle 2 P halo.
template <class Count>
index_t halo(index_t elements, index_t P, index_t rank, bool periodic, const Count& count) {
  const index_t neighbours = P == 1 ? 0 : periodic ? 2 : (rank > 0 ? 1 : 0) + (rank + 1 < P ? 1 : 0);
  return neighbours * count(elements);
}

/// To each neighbour what it is given. Over all ranks of a line what all get.
template <class Count>
index_t borders(const Borders& elements, const Count& count) {
  return count(elements.to_left) + count(elements.to_right);
}

/// How many tree nodes rank holds when the leaves are shared by P ranks.
inline index_t tree_nodes(const Leaves& leaves, index_t P, index_t rank) {
  const Range mine = leaves.over(static_cast<int>(P))[rank];
  return static_cast<index_t>(tree_cover(leaves.count, mine.offset, mine.end()).size());
}

/// Each tree node's segments to their owners, but for my own.
inline index_t tree_reduce_scatter_mpi_bytes(const Segments& segments, const Leaves& leaves, index_t rank,
                                             index_t bytes) {
  return tree_nodes(leaves, segments.ranks(), rank) * (segments.elements() - segments[rank].extent) * bytes;
}

/// The same around the ring: in hop h = 1 .. P-1 a rank passes on the nodes of rank - h + 1, those segments whose owner
/// is at least h ranks from the origin: the neighbour's by itself, the others together.
template <class Count>
index_t tree_reduce_scatter_ring(const Segments& segments, const Leaves& leaves, index_t rank, const Count& count) {
  const index_t P = segments.ranks();
  index_t sent = 0;
  for (index_t hop = 1; hop < P; ++hop) {
    const index_t origin = (rank - hop + 1 + P) % P, nodes = tree_nodes(leaves, P, origin);
    index_t further = 0;
    for (index_t distance = hop + 1; distance < P; ++distance) further += segments[(origin + distance) % P].extent;
    sent += count(nodes * segments[(origin + hop) % P].extent) + count(nodes * further);
  }
  return sent;
}

/// TreeAllreducePlan through MPI's collectives, payload: nodes to their owners, then my segment of the sum.
inline index_t tree_allreduce_mpi_bytes(index_t n, const Leaves& leaves, index_t P, index_t rank, index_t bytes) {
  const Segments segments(n, static_cast<int>(P));
  return P == 1 ? 0 : tree_reduce_scatter_mpi_bytes(segments, leaves, rank, bytes) + segments[rank].extent * bytes;
}

/// TreeAllreducePlan around the ring: nodes hop by hop, then the segments of the sum.
inline index_t tree_allreduce_ring_bytes(index_t n, const Leaves& leaves, index_t P, index_t rank, index_t bytes) {
  const Segments segments(n, static_cast<int>(P));
  return tree_reduce_scatter_ring(segments, leaves, rank, Bytes{bytes}) + ring_all_gather(segments, rank, Bytes{bytes});
}

inline index_t ring_reduce_scatter_bytes(const Segments& segments, index_t rank, index_t bytes) {
  return ring_reduce_scatter(segments, rank, Bytes{bytes});
}
inline index_t ring_reduce_scatter_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return ring_reduce_scatter(Segments(n, static_cast<int>(P)), rank, Bytes{bytes});
}
inline index_t ring_all_gather_bytes(const Segments& segments, index_t rank, index_t bytes) {
  return ring_all_gather(segments, rank, Bytes{bytes});
}
inline index_t ring_all_gather_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return ring_all_gather(Segments(n, static_cast<int>(P)), rank, Bytes{bytes});
}
inline index_t ring_allreduce_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return ring_allreduce(n, P, rank, Bytes{bytes});
}
inline index_t doubling_allreduce_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return doubling_allreduce(n, P, rank, Bytes{bytes});
}
inline index_t halving_allreduce_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return halving_allreduce(n, P, rank, Bytes{bytes});
}
inline index_t broadcast_bytes(index_t n, index_t P, index_t rank, index_t root, Tree tree, index_t bytes) {
  return broadcast(n, P, rank, root, tree, Bytes{bytes});
}
inline index_t halo_bytes(index_t elements, index_t P, index_t rank, bool periodic, index_t bytes) {
  return halo(elements, P, rank, periodic, Bytes{bytes});
}
inline index_t borders_bytes(const Borders& elements, index_t bytes) { return borders(elements, Bytes{bytes}); }
inline index_t tree_reduce_scatter_ring_bytes(const Segments& segments, const Leaves& leaves, index_t rank,
                                              index_t bytes) {
  return tree_reduce_scatter_ring(segments, leaves, rank, Bytes{bytes});
}

}  // namespace partita::comm::closed_forms
