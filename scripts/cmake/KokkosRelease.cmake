# SPDX-License-Identifier: BSD-3-Clause
# The upstream release that is built where the site has no Kokkos. As a script: cmake -DOUTPUT=<file> -P KokkosRelease.cmake downloads it.
set(KOKKOS_RELEASE_URL https://github.com/kokkos/kokkos/releases/download/4.7.01/kokkos-4.7.01.tar.gz)
set(KOKKOS_RELEASE_SHA256 404cf33e76159e83b8b4ad5d86f6899d442b5da4624820ab457412116cdcd201)

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  file(DOWNLOAD ${KOKKOS_RELEASE_URL} ${OUTPUT} INACTIVITY_TIMEOUT 15 STATUS status)
  list(GET status 0 failed)
  if(failed)
    file(REMOVE ${OUTPUT})
    message(FATAL_ERROR "${KOKKOS_RELEASE_URL}: ${status}")
  endif()
  file(SHA256 ${OUTPUT} sha256)
  if(NOT sha256 STREQUAL KOKKOS_RELEASE_SHA256)
    file(REMOVE ${OUTPUT})
    message(FATAL_ERROR "${KOKKOS_RELEASE_URL}: sha256 is ${sha256}, expected ${KOKKOS_RELEASE_SHA256}")
  endif()
endif()
