// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/collectives/segments.hpp>
#include <partita/comm/collectives/transport.hpp>

// MPI's own collectives as transports. Those with counts for each rank keep them: O(P) memory, as MPI wants it.

namespace partita::comm {

/// In place on the output.
template <class S>
std::unique_ptr<Transport<S>> mpi_allreduce(const Communicator& comm, index_t n, Op op = Op::sum);
/// In place on the output: my segment of it is the sum.
template <class S>
std::unique_ptr<Transport<S>> mpi_reduce_scatter(const Communicator& comm, const Segments& segments);
/// The input, my segment, to everybody's output.
template <class S>
std::unique_ptr<Transport<S>> mpi_all_gather(const Communicator& comm, const Segments& segments);
/// In place on the output.
template <class S>
std::unique_ptr<Transport<S>> mpi_broadcast(const Communicator& comm, index_t n, int root);
/// In place on the output.
template <class S>
std::unique_ptr<Transport<S>> mpi_reduce(const Communicator& comm, index_t n, int root);
template <class S>
std::unique_ptr<Transport<S>> mpi_gather(const Communicator& comm, const Segments& segments, int root);
template <class S>
std::unique_ptr<Transport<S>> mpi_scatter(const Communicator& comm, const Segments& segments, int root);
template <class S>
std::unique_ptr<Transport<S>> mpi_all_to_all(const Communicator& comm, const Segments& segments);

/// What a call of MPI's own counts as, in bytes.
constexpr index_t root_payload(bool is_root, int P, index_t bytes) { return is_root && P > 1 ? bytes : 0; }

}  // namespace partita::comm
