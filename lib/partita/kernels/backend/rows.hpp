// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/backend/leaf_sums.hpp>
#include <partita/kernels/backend/range.hpp>

// Kernels that reduce along a row, written once: a thread of a host has a row and its vectors, a team of a device has
// one and its shared memory. Either way lane l of 32 takes elements l, l + 32, ... in ascending order, and lanes are
// added by halves: the same bits wherever it runs, whatever the row's length and place.

namespace partita::kernels::backend {

inline constexpr int row_lanes = 32;

/// Adds lanes by halves, in place.
template <class A>
KOKKOS_INLINE_FUNCTION A sum_of_lanes(A* lane) {
  for (int half = row_lanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  return lane[0];
}

/// One thread and its vector registers.
struct HostRow {
  /// f(i) for all i.
  template <class Function>
  void each(index_t n, const Function& f) const {
#pragma GCC ivdep
    for (index_t i = 0; i < n; ++i) f(i);
  }
  /// Sum of f(i).
  template <class A, class Function>
  A sum(index_t n, const Function& f) const {
    A lane[row_lanes] = {};
    index_t i = 0;
    for (; i + row_lanes <= n; i += row_lanes) {
#pragma GCC ivdep
      for (int l = 0; l < row_lanes; ++l) lane[l] += f(i + l);
    }
    for (int l = 0; i + l < n; ++l) lane[l] += f(i + l);
    return sum_of_lanes(lane);
  }
  /// Largest f(i); NaN is left out, -infinity of none.
  template <class A, class Function>
  A most(index_t n, const Function& f) const {
    A lane[row_lanes];
    for (int l = 0; l < row_lanes; ++l) lane[l] = -Kokkos::Experimental::infinity_v<A>;
    index_t i = 0;
    for (; i + row_lanes <= n; i += row_lanes) {
#pragma GCC ivdep
      for (int l = 0; l < row_lanes; ++l) {
        const A value = f(i + l);
        lane[l] = value > lane[l] ? value : lane[l];
      }
    }
    for (int l = 0; i + l < n; ++l) {
      const A value = f(i + l);
      lane[l] = value > lane[l] ? value : lane[l];
    }
    A top = lane[0];
    for (int l = 1; l < row_lanes; ++l) top = lane[l] > top ? lane[l] : top;
    return top;
  }
};

/// A team and row_lanes numbers of its shared memory. An element stays with its thread from one call to the next.
template <class Team, class Number>
struct TeamRow {
  const Team& team;
  Number* lane;

  template <class Function>
  KOKKOS_FUNCTION void each(index_t n, const Function& f) const {
    for (int l = team.team_rank(); l < row_lanes; l += team.team_size())
      for (index_t i = l; i < n; i += row_lanes) f(i);
  }
  template <class A, class Function>
  KOKKOS_FUNCTION A sum(index_t n, const Function& f) const {
    for (int l = team.team_rank(); l < row_lanes; l += team.team_size()) {
      A value = 0;
      for (index_t i = l; i < n; i += row_lanes) value += f(i);
      lane[l] = value;
    }
    team.team_barrier();
    A copy[row_lanes];
    for (int l = 0; l < row_lanes; ++l) copy[l] = lane[l];
    team.team_barrier();
    return sum_of_lanes(copy);
  }
  template <class A, class Function>
  KOKKOS_FUNCTION A most(index_t n, const Function& f) const {
    for (int l = team.team_rank(); l < row_lanes; l += team.team_size()) {
      A top = -Kokkos::Experimental::infinity_v<A>;
      for (index_t i = l; i < n; i += row_lanes) {
        const A value = f(i);
        top = value > top ? value : top;
      }
      lane[l] = top;
    }
    team.team_barrier();
    A top = lane[0];
    for (int l = 1; l < row_lanes; ++l) top = lane[l] > top ? lane[l] : top;
    team.team_barrier();
    return top;
  }
};

#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__)
#define PARTITA_COLD
#else
#define PARTITA_COLD __attribute__((noinline, cold))
#endif

/// sum_of_leaves of more than one. Apart, so that it does not weigh on the loops of one.
template <class A, class Row, class Function>
PARTITA_COLD KOKKOS_FUNCTION A tree_of_leaves(const Row& row, index_t n, index_t leaves, const Function& f) {
  return tree_of<A>(leaves, [&](index_t leaf) {
    const index_t first = leaf_begin(n, leaves, leaf);
    return row.template sum<A>(leaf_begin(n, leaves, leaf + 1) - first, [=](index_t i) { return f(first + i); });
  });
}
#undef PARTITA_COLD

/// The sum of f(i) for i < n as a tree over `leaves` of them, cut as partition() does and added as core/tree.hpp says;
/// each is the row's ordinary sum. One leaf: that of all.
template <class A, class Row, class Function>
KOKKOS_INLINE_FUNCTION A sum_of_leaves(const Row& row, index_t n, index_t leaves, const Function& f) {
  return leaves == 1 ? row.template sum<A>(n, f) : tree_of_leaves<A>(row, n, leaves, f);
}

/// A team of one thread: how a host tests what a device runs.
struct AloneTeam {
  KOKKOS_FUNCTION int team_rank() const { return 0; }
  KOKKOS_FUNCTION int team_size() const { return 1; }
  KOKKOS_FUNCTION void team_barrier() const {}
};

template <class A, class Body>
struct RowLaunch {
  using Policy = Kokkos::TeamPolicy<Exec>;
  Body body;

  void operator()(index_t row) const { body(HostRow(), row); }
  KOKKOS_FUNCTION void operator()(const typename Policy::member_type& team) const {
    A* const lane = static_cast<A*>(team.team_shmem().get_shmem(row_lanes * sizeof(A)));
    body(TeamRow<typename Policy::member_type, A>{team, lane}, index_t(team.league_rank()));
  }
};

/// body(row tools, row) for all rows. A is what is summed.
template <class A, class Body>
void for_rows(const Exec& exec, const std::string& label, index_t rows, const Body& body) {
  const RowLaunch<A, Body> launch{body};
  if constexpr (runs_on_host) {
    Kokkos::parallel_for(label, range_policy(exec, rows), launch);
  } else {
    typename RowLaunch<A, Body>::Policy policy(exec, int(rows), row_lanes);
    Kokkos::parallel_for(label, policy.set_scratch_size(0, Kokkos::PerTeam(int(row_lanes * sizeof(A)) + 64)), launch);
  }
}

}  // namespace partita::kernels::backend
