// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include <Kokkos_Core.hpp>

#include <partita/core/types.hpp>

namespace partita::test {

/// What Kokkos Tools report while one of these lives. Fixed storage: the callbacks run where allocations are counted.
struct Observed {
  int kernels = 0, foreign_labels = 0, other_instances = 0, fences = 0, allocations = 0;
  char foreign[128] = "";
  std::uint32_t device = 0;
};
inline Observed* observed = nullptr;  // the callbacks of Kokkos Tools take no context of the caller's

class KokkosObserver {
 public:
  explicit KokkosObserver(Observed& to, const Exec& exec) {
    namespace tools = Kokkos::Tools::Experimental;
    to.device = tools::device_id(exec);
    observed = &to;
    tools::set_begin_parallel_for_callback(kernel);
    tools::set_begin_parallel_reduce_callback(kernel);
    tools::set_begin_fence_callback(fence);
    tools::set_allocate_data_callback(
        [](Kokkos_Profiling_SpaceHandle, const char*, const void*, std::uint64_t) { ++observed->allocations; });
  }
  ~KokkosObserver() { Kokkos::Tools::Experimental::set_callbacks({}); }
  KokkosObserver(const KokkosObserver&) = delete;
  KokkosObserver& operator=(const KokkosObserver&) = delete;

 private:
  /// Kokkos fences around every kernel for the tool's sake.
  static void fence(const char* label, std::uint32_t, std::uint64_t*) {
    if (std::string_view(label).find("Kokkos Profile Tool Fence") == std::string_view::npos) ++observed->fences;
  }
  static void kernel(const char* label, std::uint32_t device, std::uint64_t*) {
    ++observed->kernels;
    if (!std::string_view(label).starts_with("partita::")) {
      ++observed->foreign_labels;
      std::strncpy(observed->foreign, label, sizeof observed->foreign - 1);
    }
    if (device != observed->device) ++observed->other_instances;
  }
};

}  // namespace partita::test
