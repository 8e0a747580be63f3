# SPDX-License-Identifier: BSD-3-Clause
# What was found and chosen, at the end of a configuration: what one looks for when a result surprises.
set(instructions "of any CPU of this kind")
if(PARTITA_NATIVE)
  set(instructions "of this machine (${isa_key})")
endif()
set(math "portable kernels")
if(PARTITA_HAS_CUDA)
  set(math "cuBLASLt ${CUDAToolkit_VERSION}")
  if(CUDNN_LIBRARY)
    string(APPEND math ", cuDNN")
  endif()
elseif(OneDNN_FOUND)
  set(math "oneDNN ${OneDNN_VERSION}")
elseif(BLAS_FOUND)
  set(math "BLAS ${BLAS_LIBRARIES}")
endif()
if(Kokkos_FOUND)
  set(kokkos "${Kokkos_VERSION} (${Kokkos_DEVICES}) in ${Kokkos_DIR}")
else()
  set(kokkos "built along")
endif()
get_property(apps GLOBAL PROPERTY partita_apps)
set(extras "")
foreach(option PARTITA_BUILD_TESTS PARTITA_WERROR PARTITA_SANITIZE PARTITA_PCH PARTITA_UNITY)
  if(${option})
    string(REPLACE PARTITA_ "" option ${option})
    string(APPEND extras " ${option}")
  endif()
endforeach()
string(REPLACE ";" " " summary_apps "${apps}")
string(REPLACE ";" ", " kokkos "${kokkos}")
message(STATUS "Partita ${PROJECT_VERSION}
     compiler      ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}
     instructions  ${instructions}
     Kokkos        ${kokkos}
     MPI           ${MPI_C_VERSION} in ${MPI_C_LIBRARIES}
     HDF5          ${HDF5_VERSION}
     math          ${math}
     apps          ${summary_apps}
     on           ${extras}")
