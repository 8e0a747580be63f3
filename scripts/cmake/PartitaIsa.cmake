# SPDX-License-Identifier: BSD-3-Clause
# Names the instruction set that `-march=native` means on this machine: "avx2-1a2b3c4d", a readable part and a hash of every macro that
# the compiler predefines for it. What is built for one machine must not be used on another (build folder, ccache, cached dependencies).
#   in CMake     partita_isa_key(<variable> <compiler>)
#   in a shell   cmake -DCOMPILER=g++ -P PartitaIsa.cmake
function(partita_isa_key variable compiler)
  execute_process(COMMAND ${compiler} -march=native -dM -E -x c /dev/null OUTPUT_VARIABLE macros RESULT_VARIABLE failed ERROR_QUIET)
  set(name generic)
  foreach(pair __AVX512F__=avx512 __AVX2__=avx2 __AVX__=avx __SSE4_2__=sse4.2 __ARM_FEATURE_SVE=sve __ARM_NEON=neon __ALTIVEC__=altivec)
    string(REPLACE "=" ";" pair ${pair})
    list(GET pair 0 macro)
    if(NOT failed AND macros MATCHES "#define ${macro} ")
      list(GET pair 1 name)
      break()
    endif()
  endforeach()
  string(SHA256 hash "${macros}")
  string(SUBSTRING ${hash} 0 8 hash)
  set(${variable} ${name}-${hash} PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  partita_isa_key(key ${COMPILER})
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo ${key})
endif()
