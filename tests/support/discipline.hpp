// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <support/allocation_counter.hpp>
#include <support/kokkos_observer.hpp>

namespace partita::test {

/// run(), which has run before, launches at least `kernels` kernels, all with Partita's labels and on `exec`; it fences
/// nothing and allocates no View.
template <class Exec, class Run>
void expect_own_labels_and_no_fences(const Exec& exec, int kernels, const Run& run) {
  Observed seen;
  {
    KokkosObserver observer(seen, exec);
    run();
  }
  EXPECT_GE(seen.kernels, kernels);
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.other_instances, 0);
  EXPECT_EQ(seen.fences, 0);
  EXPECT_EQ(seen.allocations, 0);
}

/// run(), which has run before, asks the heap for nothing; what the vendor's library asks for counts if `vendor_too`.
/// Checks nothing where allocation_counter_works() is false.
template <class Run>
void expect_no_allocation(bool vendor_too, const Run& run) {
  start_counting_allocations();
  run();
  const AllocationCount count = stop_counting_allocations();
  EXPECT_EQ(count.ours(), 0u) << "by " << count.last_of_ours << "; " << count.by_vendor
                              << " more in the vendor's library, " << count.by_openmp << " in OpenMP's";
  if (vendor_too) {
    EXPECT_EQ(count.by_vendor, 0u);
  }
}

}  // namespace partita::test
