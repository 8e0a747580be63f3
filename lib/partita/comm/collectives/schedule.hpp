// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include <partita/comm/collectives/segments.hpp>
#include <partita/comm/work.hpp>

// What a rank sends and receives in a collective, and in which order: data, made by pure functions and executed by one
// runtime (flow.hpp), as in Hoefler, Lumsdaine and Rehm, "Implementation and performance analysis of non-blocking
// collective operations for MPI" (2007). No MPI here: a test can play all ranks of a schedule in one process.

namespace partita::comm {

/// Whose memory a message is in.
enum class Place : std::uint8_t { input, output, scratch };

/// One message of a rank, nothing where it has no elements.
///
/// Sends leave in their order, receives are taken in in theirs; between two ranks messages match by order.
struct Message {
  int peer = 0;
  Place place = Place::output;
  Range range;
  bool adds = false;  ///< receive: added to what is there, by way of a slot
  /// Send: how many receives must have been taken in before. Receive: how many sends must have left before it changes
  /// the buffer, because it changes what they read.
  index_t after = 0;
};

/// The input's elements that go into the output without a message: output[to + i] = input[from.offset + i].
struct OwnPart {
  Range from;
  index_t to = 0;
};

/// The messages of one rank. They are computed, not kept: no memory that grows with the number of ranks or messages.
class Schedule {
 public:
  virtual ~Schedule() = default;

  virtual index_t sends() const = 0;
  virtual index_t receives() const = 0;
  virtual Message send(index_t i) const = 0;
  virtual Message receive(index_t i) const = 0;

  virtual OwnPart own() const { return {}; }
  /// Receives that are posted before they are needed.
  virtual index_t ahead() const { return 4; }
  /// Elements of the longest message that is added: the length of a slot.
  virtual index_t longest_sum() const { return 0; }
  /// Elements of Place::scratch.
  virtual index_t scratch() const { return 0; }
};

/// Every message sent, as if each waited for the one before it, and every element added or copied.
Work work_of(const Schedule& schedule, index_t element_bytes);

/// How a long part is cut into messages. Every rank gives the same.
struct RingOptions {
  /// A message is at least this long, where a segment has so much: a quarter of the 1 MiB (or more) that a core of
  /// today's servers calls its own, so that it is still there when it is added, and long against a latency.
  index_t chunk_bytes = 256 * 1024;
  /// A segment is cut into at most this many: what cannot overlap is an eighth then, and a rank that the system holds
  /// up for a moment makes its neighbours wait a few times, not hundreds of times.
  index_t most_chunks = 8;

  /// Elements of a message where the longest part has so many.
  index_t chunk(index_t longest, index_t element_bytes) const;
};

/// What a walk around the ring does: everything, or one of its halves.
enum class RingPart { allreduce, reduce_scatter, all_gather };

/// A ring of P ranks: reduce-scatter, then all-gather, of segments, pipelined in chunks.
///
/// Step s of rank r sends segment r - s - 1 to the right and receives segment r - s - 2 from the left (mod P). In steps
/// 0 .. P-2 what arrives is added: then rank r holds the sum of segment r. In steps P-1 .. 2P-3 it is kept: then every
/// rank holds all. A segment travels in chunks: while one is added, the next arrive, and one that was
/// added is passed on at once.
///
///     P = 3, the segments A, B, C of ranks 0, 1, 2; a1 is rank 1's part of A, a12 the sum of a1 and a2
///
///              rank 0              rank 1              rank 2
///     step 0   c0 -> 1, adds b2    a1 -> 2, adds c0    b2 -> 0, adds a1      reduce-scatter
///     step 1   b02 -> 1, adds a12  c01 -> 2, adds b02  a12 -> 0, adds c01
///              has A               has B               has C
///     step 2   A -> 1, keeps C     B -> 2, keeps A     C -> 0, keeps B       all-gather
///     step 3   C -> 1, keeps B     A -> 2, keeps C     B -> 0, keeps A
///
/// Reads and writes the output; an all-gather first copies the input, my segment, to its place.
std::unique_ptr<Schedule> ring_schedule(const Segments& segments, int rank, RingPart part, index_t chunk);

/// Recursive doubling: log2 P times all n elements are exchanged with a partner, 1, 2, 4, ... ranks away, and added.
/// Ranks beyond the largest power of two hand theirs to a neighbour first and get the sum at the end. Few messages: for
/// short vectors.
std::unique_ptr<Schedule> doubling_schedule(index_t n, int P, int rank, index_t chunk);

/// Recursive halving and doubling (Rabenseifner 2004): in round k half of what a rank still has goes to the partner
/// P / 2^k away, which adds it; then the sums come back the same way, each time twice as many. 2 log2 P messages and
/// 2 (P-1)/P n elements; ranks beyond the largest power of two as above.
std::unique_ptr<Schedule> halving_schedule(index_t n, int P, int rank, index_t chunk);

/// Who is whose parent where one rank speaks to all, or all to one: log2 P levels, or one rank after the other.
enum class Tree { binomial, chain };

/// The root's n elements go down the tree, chunk by chunk.
std::unique_ptr<Schedule> broadcast_schedule(index_t n, int P, int rank, int root, Tree tree, index_t chunk);
/// Sums of n elements go up the tree to the root, chunk by chunk; what others hold are parts of it then.
std::unique_ptr<Schedule> reduce_schedule(index_t n, int P, int rank, int root, Tree tree, index_t chunk);

/// Every rank sends its n elements to the root, which adds them in the order of the ranks, chunk by chunk.
std::unique_ptr<Schedule> central_reduce_schedule(index_t n, int P, int rank, int root, index_t chunk);
/// Every rank's segment (input) to its place at the root (output).
std::unique_ptr<Schedule> gather_schedule(const Segments& segments, int rank, int root);
/// The root's segments (input), each to its rank (output).
std::unique_ptr<Schedule> scatter_schedule(const Segments& segments, int rank, int root);

/// Segment q of every rank's input goes to rank q, whose output is what came from ranks 0, 1, ... side by side. In
/// round k a rank sends to the one k to its right and receives from the one k to its left.
std::unique_ptr<Schedule> all_to_all_schedule(const Segments& segments, int rank);

/// Neighbours on a line (or, periodic, a circle) exchange their outermost elements: the buffer is
///
///     | halo | interior | halo |
///
/// the first `halo` elements of the interior go into the left neighbour's upper halo, the last into the right one's
/// lower halo. Both directions are posted together. At the ends of a line halos are left as they are.
std::unique_ptr<Schedule> halo_schedule(index_t interior, index_t halo, int P, int rank, bool periodic);

/// What a rank of a line gives its neighbours and gets from them, in elements; any may be none.
struct Borders {
  index_t to_left = 0;
  index_t to_right = 0;
  index_t from_left = 0;
  index_t from_right = 0;
};

/// Neighbours on a line exchange elements of unlike numbers:
///
///     input | what goes left | what goes right |   ->   output | what came from the left | from the right |
///
/// Both directions are posted together. What a rank sends must be what its neighbour expects.
std::unique_ptr<Schedule> borders_schedule(const Borders& borders, int rank);

/// n elements from one rank to another: nothing for the others.
std::unique_ptr<Schedule> transfer_schedule(index_t n, int rank, int from, int to);

}  // namespace partita::comm
