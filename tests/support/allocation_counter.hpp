// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

namespace partita::test {

/// Heap allocations of the whole process between start() and stop(), by who asked: malloc and its kin and operator new
/// are interposed.
struct AllocationCount {
  std::size_t all = 0;
  std::size_t by_vendor = 0;  ///< asked for from inside oneDNN, a BLAS or cuBLAS
  std::size_t by_openmp =
      0;                   ///< from inside the OpenMP runtime: libgomp makes a team anew for every region of one thread
  std::size_t by_mpi = 0;  ///< from inside MPI's libraries
  const char* last_of_ours = "";  ///< file of the last caller that is none of these
  std::size_t ours() const { return all - by_vendor - by_openmp - by_mpi; }
};

/// False where nothing can be interposed (under a sanitizer or nvcc): then the count is always 0.
bool allocation_counter_works();

void start_counting_allocations();
AllocationCount stop_counting_allocations();

}  // namespace partita::test
