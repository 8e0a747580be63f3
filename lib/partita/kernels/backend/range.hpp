// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/types.hpp>

namespace partita::kernels::backend {

/// Where kernels choose their shape: threads with caches and vectors, or a device.
inline constexpr bool runs_on_host = Kokkos::SpaceAccessibility<HostExec, Memory>::accessible;

/// Threads of this instance. Kokkos 4 with its deprecated code has a static function that speaks of the default
/// instance, and that a call on an instance reaches too.
template <class Space>
int threads_of(const Space& exec) {
  if constexpr (requires { Space::concurrency(exec); })
    return Space::concurrency(exec);
  else
    return exec.concurrency();
}

/// 0 <= i < n. The chunk is given because Kokkos 4 asks the heap for a default instance when it chooses one; GCC's
/// static schedule and devices take no notice of it.
template <class... Properties>
auto range_policy(const Exec& exec, index_t n) {
  return Kokkos::RangePolicy<Exec, Kokkos::IndexType<index_t>, Properties...>(exec, index_t(0), n,
                                                                              Kokkos::ChunkSize(1));
}

inline constexpr index_t range_block = runs_on_host ? 4096 : 1;

/// body(i) for the indices of one block. On a host the loop is in the kernel, over plain pointers: it vectorises.
template <class Body>
struct RangeBlock {
  Body body;
  index_t n;

  KOKKOS_FUNCTION void operator()(index_t block) const {
    const Body local = body;
    const index_t end = (block + 1) * range_block < n ? (block + 1) * range_block : n;
    const auto run = local.prepare();
    if constexpr (requires { run.idle(); })
      if (run.idle()) return;
#pragma GCC ivdep
    for (index_t i = block * range_block; i < end; ++i) run(i);
  }
};

/// Runs body.prepare()(i) for 0 <= i < n. Body is a struct of pointers and numbers; what depends on device memory alone
/// is read once a block in prepare(); where that has an idle() that says true, nothing runs. Iterations must be
/// independent (in place is fine).
template <class Body>
void for_range(const Exec& exec, const std::string& label, index_t n, Body body) {
  Kokkos::parallel_for(label, range_policy(exec, (n + range_block - 1) / range_block), RangeBlock<Body>{body, n});
}

}  // namespace partita::kernels::backend
