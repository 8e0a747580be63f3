// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/broadcast.hpp>

#include <string>

#include <Kokkos_Profiling_ScopedRegion.hpp>

#include <partita/comm/collectives/staging.hpp>

namespace partita::comm {

template <class S>
void broadcast(const Exec& exec, const Communicator& comm, Vector<S> values, int root) {
  static const std::string name = "partita::comm::broadcast";  // made once
  const Kokkos::Profiling::ScopedRegion region(name);
  const auto n = static_cast<index_t>(values.extent(0));
  const index_t bytes = n * static_cast<index_t>(sizeof(S));
  TrafficEntry* entry = comm.traffic_entry("broadcast", "mpi");
  const index_t payload = comm.is_root(root) && comm.size() > 1 ? bytes : 0;
  TrafficCall traffic(entry, static_cast<double>(payload));
  const Staging<S> staging(comm.gpu_aware(), n);
  S* data = comm.is_root(root) ? staging.begin(exec, values) : staging.begin_write(exec, values);
  detail::for_each_piece(n, [&](index_t offset, int count) {
    detail::check(MPI_Bcast(data + offset, count, detail::mpi_type<S>(), root, comm.handle()), "MPI_Bcast",
                  comm.name());
  });
  if (!comm.is_root(root)) staging.end(exec, values);
  traffic.sent(1, payload);
}

template void broadcast<float>(const Exec&, const Communicator&, Vector<float>, int);
template void broadcast<double>(const Exec&, const Communicator&, Vector<double>, int);
template void broadcast<std::int32_t>(const Exec&, const Communicator&, Vector<std::int32_t>, int);
template void broadcast<index_t>(const Exec&, const Communicator&, Vector<index_t>, int);

}  // namespace partita::comm
