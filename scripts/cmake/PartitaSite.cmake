# SPDX-License-Identifier: BSD-3-Clause
# Included before project(): what scripts/bootstrap built for this preset, and which compiler a CUDA build needs.

# Sets PARTITA_KOKKOS_HINT, the last place that is looked at: a Kokkos of the site (module, Spack, CMAKE_PREFIX_PATH, Kokkos_ROOT) wins.
if(PARTITA_KOKKOS)
  include(${CMAKE_CURRENT_SOURCE_DIR}/build/deps/kokkos-${PARTITA_KOKKOS}.cmake OPTIONAL)
endif()

# Kokkos' CUDA code is compiled through nvcc_wrapper, which comes with Kokkos. Its host compiler
# is g++ or what NVCC_WRAPPER_DEFAULT_COMPILER says; for another CUDA compiler name it in CMAKE_CXX_COMPILER.
if(PARTITA_CUDA AND NOT CMAKE_CXX_COMPILER)
  find_program(PARTITA_NVCC_WRAPPER nvcc_wrapper
               HINTS ${Kokkos_ROOT}/bin $ENV{Kokkos_ROOT}/bin
               PATHS ${PARTITA_KOKKOS_HINT}/bin ${FETCHCONTENT_SOURCE_DIR_KOKKOS}/bin)
  if(NOT PARTITA_NVCC_WRAPPER)
    message(FATAL_ERROR "PARTITA_CUDA needs the nvcc_wrapper of a Kokkos with CUDA: load the site's, or run `scripts/bootstrap cuda`, "
                        "or name the compiler in CMAKE_CXX_COMPILER.")
  endif()
  set(CMAKE_CXX_COMPILER ${PARTITA_NVCC_WRAPPER} CACHE FILEPATH "C++ compiler")
endif()
