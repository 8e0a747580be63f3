// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/probe.hpp>

#include <algorithm>
#include <array>
#include <limits>

#include <partita/core/clock.hpp>

namespace partita::comm {

namespace {

constexpr index_t large = 4 * 1024 * 1024;  // bytes

double middle(std::vector<double> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

std::vector<double> ping_pong_s(const Communicator& comm, int a, int b, index_t bytes, index_t repeats,
                                index_t warmup) {
  std::vector<double> one_way_s;
  if (a != b && (comm.rank() == a || comm.rank() == b)) {
    std::vector<char> ball(static_cast<std::size_t>(bytes), 'p');
    if (comm.rank() == a) one_way_s.reserve(static_cast<std::size_t>(repeats));
    for (index_t i = -warmup; i < repeats; ++i) {
      if (comm.rank() == a) {
        const std::int64_t start = now_ns();
        comm.send(std::span<const char>(ball), b, detail::probe_tag);
        comm.receive(std::span<char>(ball), b, detail::probe_tag);
        if (i >= 0) one_way_s.push_back(seconds(now_ns() - start) / 2);
      } else {
        comm.receive(std::span<char>(ball), a, detail::probe_tag);
        comm.send(std::span<const char>(ball), a, detail::probe_tag);
      }
    }
  }
  comm.barrier();
  return one_way_s;
}

Link probe_link(const Communicator& comm, int a, int b) {
  if (a == b) return {0.0, std::numeric_limits<double>::infinity()};
  const std::vector<double> small_s = ping_pong_s(comm, a, b, 8, 200, 20);
  const std::vector<double> large_s = ping_pong_s(comm, a, b, large, 20, 2);
  Link link;
  if (comm.rank() == a) {
    link.latency_s = middle(small_s);
    link.bandwidth_byte_s = static_cast<double>(large) / middle(large_s);
  }
  comm.broadcast(link, a);
  return link;
}

double shift_byte_per_s(const Communicator& comm) {
  if (comm.size() == 1) return std::numeric_limits<double>::infinity();
  constexpr index_t repeats = 20, warmup = 2;
  const std::vector<char> leaves(static_cast<std::size_t>(large), 's');
  std::vector<char> arrives(static_cast<std::size_t>(large));
  const int right = (comm.rank() + 1) % comm.size(), left = (comm.rank() + comm.size() - 1) % comm.size();
  std::vector<double> shift_s;
  for (index_t i = -warmup; i < repeats; ++i) {
    comm.barrier();
    const std::int64_t start = now_ns();
    const Waiting waiting(comm.waits(), comm.wait("receive", large, left));
    detail::check(MPI_Sendrecv(leaves.data(), detail::mpi_count(large, "MPI_Sendrecv"), MPI_BYTE, right,
                               detail::probe_tag, arrives.data(), detail::mpi_count(large, "MPI_Sendrecv"), MPI_BYTE,
                               left, detail::probe_tag, comm.handle(), MPI_STATUS_IGNORE),
                  "MPI_Sendrecv", comm.name());
    if (i >= 0) shift_s.push_back(seconds(now_ns() - start));
  }
  return static_cast<double>(large) / comm.allreduce(middle(shift_s), Op::max);
}

std::vector<ClockOffset> clock_offsets(const Communicator& comm, int root, int rounds) {
  std::vector<ClockOffset> offsets;
  std::array<std::int64_t, 1> stamp{};
  for (int other = 0; other < comm.size(); ++other) {
    if (comm.is_root(root)) {
      std::int64_t best_ns = std::numeric_limits<std::int64_t>::max();
      ClockOffset offset{.at_ns = now_ns()};
      for (int i = 0; i < rounds && other != root; ++i) {
        const std::int64_t start = now_ns();
        comm.send(std::span<const std::int64_t>(stamp), other, detail::probe_tag);
        comm.receive(std::span<std::int64_t>(stamp), other, detail::probe_tag);
        const std::int64_t end = now_ns();
        if (end - start >= best_ns) continue;
        best_ns = end - start;
        offset = {.offset_ns = start + best_ns / 2 - stamp[0], .at_ns = stamp[0], .error_ns = (best_ns + 1) / 2};
      }
      offsets.push_back(offset);
    } else if (comm.rank() == other) {
      for (int i = 0; i < rounds; ++i) {
        comm.receive(std::span<std::int64_t>(stamp), root, detail::probe_tag);
        stamp[0] = now_ns();
        comm.send(std::span<const std::int64_t>(stamp), root, detail::probe_tag);
      }
    }
  }
  comm.barrier();
  return offsets;
}

}  // namespace partita::comm
