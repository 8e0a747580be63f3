// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

#include <partita/comm/collectives/plan.hpp>
#include <partita/comm/collectives/schedule.hpp>

namespace partita::comm {

/// Who chooses how a sum travels: MPI's own MPI_Allreduce; our ring; our recursive halving and doubling, for short
/// vectors and many ranks; automatic: recursive up to 32 KiB, else the ring.
enum class Allreduce { mpi, ring, recursive, automatic };

std::string_view to_string(Allreduce how);

/// For other collectives: MPI's own where all-reduces are.
constexpr Via via(Allreduce how) { return how == Allreduce::mpi ? Via::mpi : Via::own; }

/// What an all-reduce of so many bytes does by `how`: mpi, ring or recursive.
Allreduce resolved(Allreduce how, index_t bytes);

/// inout(i) = sum over ranks of inout(i), the same bits on every rank; by `op` the largest or the smallest of them,
/// exact in any order (what is chosen where one is NaN is left open).
///
/// Shapes   inout (n), overwritten.
/// Traffic  operation "allreduce", algorithms
///            ring                  closed_forms::ring_allreduce_bytes
///            recursive             closed_forms::doubling_allreduce_bytes up to 16 KiB or between two ranks, else
///                                  halving_allreduce_bytes
///            mpi                   the payload
template <class S>
class AllreducePlan : public Plan<S> {
 public:
  /// operation   what its traffic and its region are called
  AllreducePlan(const Communicator& comm, Allreduce how, index_t elements, RingOptions options = {}, Op op = Op::sum,
                std::string_view operation = "allreduce");
};

/// The same for a sum that is needed once: plans, runs, forgets.
template <class S>
void allreduce_sum(const Exec& exec, const Communicator& comm, Allreduce how, Vector<S> inout) {
  AllreducePlan<S>(comm, how, static_cast<index_t>(inout.extent(0))).run(exec, inout);
}

}  // namespace partita::comm
