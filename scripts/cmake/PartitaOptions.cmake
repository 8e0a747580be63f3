# SPDX-License-Identifier: BSD-3-Clause
# What a user can choose, and what every target is compiled with.
include(CheckCXXCompilerFlag)
include(PartitaIsa)

option(PARTITA_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(PARTITA_NATIVE "Compile for the instruction set of this machine" OFF)
option(PARTITA_WERROR "Treat warnings as errors" OFF)
set(PARTITA_SANITIZE OFF CACHE STRING "Compile with sanitizers: ON (address and undefined behaviour), thread or OFF")
option(PARTITA_BUILD_FUZZERS "Build the fuzzers of tests/fuzz, with clang and its libFuzzer" OFF)
option(PARTITA_CUDA "Require a Kokkos with CUDA" OFF)
option(PARTITA_PCH "Precompile the headers that most sources read (never with nvcc_wrapper)" ON)
option(PARTITA_UNITY "Compile several sources of a module or app at once: less work in all, for nvcc above all" OFF)
set(PARTITA_MODULES core config kernels nn data comm metrics io parallel driver training
    CACHE STRING "Library modules to build, lowest layer first")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# One INTERFACE target carries the flags: every partita target links it privately.
add_library(partita_flags INTERFACE)
# No fused multiply-add unless the code asks for it: a vector body and its tail must round alike (DESIGN.md section 6).
target_compile_options(partita_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
    $<$<BOOL:${PARTITA_WERROR}>:-Werror>
    # GCC 12 warns of a copy in std::string operator+ that cannot happen (gcc.gnu.org/PR105651).
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
    # A file's own types are in no other, though GCC sees it included when several are read at once.
    $<$<AND:$<BOOL:${PARTITA_UNITY}>,$<CXX_COMPILER_ID:GNU>>:-Wno-subobject-linkage>
    $<$<CXX_COMPILER_ID:GNU,Clang>:-ffp-contract=off>)
if(PARTITA_NATIVE)
  foreach(flag -march=native -mcpu=native)
    string(MAKE_C_IDENTIFIER "PARTITA_HAS${flag}" has_flag)
    check_cxx_compiler_flag(${flag} ${has_flag})
    if(${has_flag})
      target_compile_options(partita_flags INTERFACE ${flag})
      break()
    endif()
  endforeach()
  # The key stands on the command line so that a build folder or a ccache carried to another CPU compiles anew.
  partita_isa_key(isa_key ${CMAKE_C_COMPILER})
  target_compile_definitions(partita_flags INTERFACE PARTITA_ISA_KEY=${isa_key})
endif()
# GCC 12.2 with AVX-512 copies a constant of 32 bytes wrongly when its words are {x, x, 0, 0}: all four become x. Whoever brings in the
# instruction set (Kokkos does, too), small copies of 16 bytes avoid it. Test: unit.core.compiler.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  check_cxx_compiler_flag("-mmove-max=128 -mstore-max=128" PARTITA_HAS_move_max)
  if(PARTITA_HAS_move_max)
    target_compile_options(partita_flags INTERFACE -mmove-max=128 -mstore-max=128)
  endif()
endif()
if(PARTITA_SANITIZE)
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  if(PARTITA_SANITIZE STREQUAL thread)
    # GCC warns of fences, which it does not see; what they order is ordered by atomics and locks as well.
    set(sanitize -fsanitize=thread -fno-omit-frame-pointer $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
  # GCC warns of variables that the sanitizers' own code leaves uninitialised.
  target_compile_options(partita_flags INTERFACE ${sanitize} $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(partita_flags INTERFACE ${sanitize})
endif()
if(PARTITA_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "PARTITA_BUILD_FUZZERS needs clang, not ${CMAKE_CXX_COMPILER_ID}: scripts/fuzz takes it")
  endif()
  target_compile_options(partita_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
