// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include <partita/comm/collectives/ring.hpp>
#include <partita/comm/collectives/sides.hpp>
#include <partita/comm/collectives/staging.hpp>
#include <partita/comm/communicator.hpp>
#include <partita/core/types.hpp>

namespace partita::comm {

/// Who chooses how the sum travels: MPI's own MPI_Allreduce, or our ring.
enum class Allreduce { mpi, ring };

std::string_view to_string(Allreduce how);

/// inout(i) = sum over ranks of inout(i), the same bits on every rank.
///
/// Scratch is planned once; a call allocates nothing.
/// Traffic  operation "allreduce". ring: closed_forms::ring_allreduce_bytes, every message counted; mpi: the payload.
/// Region   partita::comm::allreduce::ring or ::mpi, in Kokkos Tools.
template <class S>
class AllreducePlan {
 public:
  /// comm must outlive the plan. Not collective.
  AllreducePlan(const Communicator& comm, Allreduce how, index_t elements, RingOptions options = {});

  /// Shapes   inout (elements), overwritten.
  /// Runs     fences exec first (MPI reads what the kernels on it wrote), blocks until the sum is there. Collective.
  /// Throws   ShapeError when inout has another extent; Error when MPI fails.
  void run(const Exec& exec, Vector<S> inout);

  index_t elements() const { return elements_; }
  Allreduce algorithm() const { return how_; }

 private:
  const Communicator* comm_;
  Allreduce how_;
  index_t elements_;
  TrafficEntry* entry_;
  double expected_bytes_;
  Work work_;
  std::string region_;
  Staging<S> staging_;
  detail::SidedPlan<detail::RingPlan, S> ring_;  // none for MPI's own
};

/// The same for a sum that is needed once: plans, runs, forgets.
template <class S>
void allreduce_sum(const Exec& exec, const Communicator& comm, Allreduce how, Vector<S> inout) {
  AllreducePlan<S>(comm, how, static_cast<index_t>(inout.extent(0))).run(exec, inout);
}

}  // namespace partita::comm
