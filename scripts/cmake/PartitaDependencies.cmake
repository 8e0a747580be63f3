# SPDX-License-Identifier: BSD-3-Clause
# What the system has wins; else the release pinned here is fetched and built along. FETCHCONTENT_SOURCE_DIR_<NAME> is honoured.
include(FetchContent)
include(KokkosRelease)

# partita_dependency(<name> <least version> <url> <sha256> [PATHS ...])
macro(partita_dependency name version url sha256)
  FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256} DOWNLOAD_EXTRACT_TIMESTAMP OFF SYSTEM
                       FIND_PACKAGE_ARGS ${version} QUIET ${ARGN})
  FetchContent_MakeAvailable(${name})
  string(TOLOWER ${name} lower_name)
  if(${name}_FOUND)
    message(STATUS "Found ${name} ${${name}_VERSION}: ${${name}_DIR}")
  else()
    message(STATUS "Building ${name} along: ${${lower_name}_SOURCE_DIR}")
  endif()
endmacro()

# What a Kokkos that is built along gets; one that is found keeps its own configuration.
set(Kokkos_ENABLE_SERIAL ON CACHE BOOL "")
set(Kokkos_ENABLE_OPENMP ON CACHE BOOL "")
set(Kokkos_ENABLE_CUDA ${PARTITA_CUDA} CACHE BOOL "")
set(Kokkos_ARCH_NATIVE ${PARTITA_NATIVE} CACHE BOOL "")
set(Kokkos_ARCH_HOPPER90 ${PARTITA_CUDA} CACHE BOOL "")
if(PARTITA_SANITIZE)
  set(Kokkos_ENABLE_DEBUG_BOUNDS_CHECK ON CACHE BOOL "")
endif()
partita_dependency(Kokkos 4.7 ${KOKKOS_RELEASE_URL} ${KOKKOS_RELEASE_SHA256} PATHS ${PARTITA_KOKKOS_HINT})
if(Kokkos_FOUND)
  message(STATUS "Kokkos devices: ${Kokkos_DEVICES}")
  set(PARTITA_KOKKOS_VERSION ${Kokkos_VERSION})
  set(PARTITA_KOKKOS_DIR ${Kokkos_DIR})
  if("CUDA" IN_LIST Kokkos_DEVICES)
    set(PARTITA_HAS_CUDA ON)
  endif()
else()
  set(PARTITA_KOKKOS_VERSION 4.7)
  set(PARTITA_KOKKOS_DIR "")
  set(PARTITA_HAS_CUDA ${Kokkos_ENABLE_CUDA})
endif()
if(PARTITA_HAS_CUDA)
  # fmt 9 chooses between constexpr and consteval by compiler, and takes nvcc for the host compiler in half of the places.
  target_compile_definitions(partita_flags INTERFACE FMT_USE_CONSTEXPR=1 FMT_CONSTEVAL=)
endif()
if(PARTITA_CUDA AND NOT PARTITA_HAS_CUDA)
  message(FATAL_ERROR "PARTITA_CUDA is on, but the Kokkos in ${Kokkos_DIR} has no CUDA")
endif()

find_package(MPI 3.1 REQUIRED COMPONENTS C)
find_package(HDF5 1.10.7 REQUIRED COMPONENTS C HL)
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)

set(FMT_INSTALL ON)
set(JSON_BuildTests OFF)
partita_dependency(fmt 9 https://github.com/fmtlib/fmt/archive/refs/tags/10.2.1.tar.gz
    1250e4cc58bf06ee631567523f48848dc4596133e163f02615c97f78bab6c811)
partita_dependency(CLI11 2.1 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
    f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a)
partita_dependency(nlohmann_json 3.10 https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
    d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
partita_dependency(tomlplusplus 3.3 https://github.com/marzer/tomlplusplus/archive/refs/tags/v3.4.0.tar.gz
    8517f65938a4faae9ccf8ebb36631a38c1cadfb5efa85d9a72e15b9e97d25155)

# Math on the GPU: the toolkit's libraries. On the CPU: oneDNN, else a CBLAS; the portable kernels need none of them.
if(PARTITA_HAS_CUDA)
  find_package(CUDAToolkit 12.2 REQUIRED)
else()
  find_package(OneDNN 2.6 QUIET)
  if(OneDNN_FOUND)
    message(STATUS "Found OneDNN ${OneDNN_VERSION}: ${OneDNN_LIBRARY}")
  else()
    find_package(BLAS QUIET)
  endif()
endif()

# kernel_bench runs with and without tests.
set(BENCHMARK_ENABLE_TESTING OFF)
set(BENCHMARK_ENABLE_INSTALL OFF)
partita_dependency(benchmark 1.7 https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
    6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce)

if(PARTITA_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  partita_dependency(GTest 1.12 https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz
      8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7)
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
endif()
