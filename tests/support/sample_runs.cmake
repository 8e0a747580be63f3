# SPDX-License-Identifier: BSD-3-Clause
# Sample runs at the top of an app's main.cpp are its tests: nobody copies them.
#
#     // Sample runs (each is a test; * only by hand):
#     //     mpiexec -n 3 mlp_dp inputs/mlp_dp/tiny.toml --set parallel.allreduce=ring
#     //         --set train.batch=50  # ring_uneven
#     //   * mpiexec -n 2 mlp_dp inputs/mlp_dp/fashion.toml
#
# A run may go on in deeper lines. What stands behind `#` names its test: app.<app>.ring_uneven.np3. Included, this defines
#
#     partita_read_samples(<app> <main.cpp>)   -> SAMPLES, a list of names; SAMPLE_<name>_NP, SAMPLE_<name>_ARGUMENTS
#     partita_sample_runs(<app> OUTPUT regex [EXCEPT <name> <regex>]...)
#
# the second of which registers each run, with --output of its own, and holds it to exit code 0 and what it prints. As a
# script (cmake -DAPP=... -DMAIN=... -P) it prints what it reads.
if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  cmake_minimum_required(VERSION 3.25)
endif()

# One run, put together from its lines.
macro(partita_take_sample app place run)
  if(NOT "${run}" MATCHES "^(mpiexec -n ([1-9][0-9]*) )?${app}( [^#]*[^# ])? +# ([a-z0-9_]+)$")
    message(FATAL_ERROR "${place}: not a sample run: `${run}`: expected `[mpiexec -n RANKS] ${app} ARGUMENTS  # name`")
  endif()
  set(sample ${CMAKE_MATCH_4})
  set(ranks "${CMAKE_MATCH_2}")
  separate_arguments(arguments UNIX_COMMAND "${CMAKE_MATCH_3}")
  if(sample IN_LIST SAMPLES)
    message(FATAL_ERROR "${place}: a second sample run is called ${sample}: expected a name of its own")
  endif()
  if(NOT ranks)
    set(ranks 1)
  endif()
  list(APPEND SAMPLES ${sample})
  set(SAMPLE_${sample}_NP ${ranks} PARENT_SCOPE)
  set(SAMPLE_${sample}_ARGUMENTS "${arguments}" PARENT_SCOPE)
endmacro()

function(partita_read_samples app main)
  set(SAMPLES "")
  set(state before)
  set(run "")
  set(number 0)
  file(READ ${main} text)
  string(REPLACE "[" "\\[" text "${text}")  # CMake's lists take brackets for quotes
  string(REPLACE "]" "\\]" text "${text}")
  string(REPLACE ";" "\\;" text "${text}")
  string(REPLACE "\n" ";" lines "${text}")
  foreach(line IN LISTS lines)
    math(EXPR number "${number} + 1")
    string(REPLACE "\\[" "[" line "${line}")
    string(REPLACE "\\]" "]" line "${line}")
    if(state STREQUAL before)
      if(line MATCHES "^// Sample runs")
        set(state runs)
      endif()
      continue()
    endif()
    if(run AND line MATCHES "^//         +([^ ].*)$")  # the run goes on
      string(APPEND run " ${CMAKE_MATCH_1}")
      continue()
    endif()
    if(run AND NOT run MATCHES "^\\*")
      partita_take_sample(${app} ${main}:${place} "${run}")
    endif()
    set(run "")
    set(place ${number})
    if(line MATCHES "^//     ([^ ].*)$")
      set(run "${CMAKE_MATCH_1}")
    elseif(line MATCHES "^//   (\\* .*)$")
      set(run "${CMAKE_MATCH_1}")
    elseif(line MATCHES "^//")
      message(FATAL_ERROR "${main}:${number}: not a sample run: `${line}`: expected `//     RUN` or `//   * RUN`")
    else()
      break()
    endif()
  endforeach()
  if("${SAMPLES}" STREQUAL "")
    message(FATAL_ERROR "${main}: no sample runs: expected `// Sample runs (each is a test; * only by hand):` and a run")
  endif()
  set(SAMPLES ${SAMPLES} PARENT_SCOPE)
endfunction()

function(partita_sample_runs app)
  cmake_parse_arguments(arg "" "OUTPUT" "EXCEPT" ${ARGN})
  set(main ${PROJECT_SOURCE_DIR}/apps/${app}/main.cpp)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${main})
  partita_read_samples(${app} ${main})
  foreach(sample IN LISTS SAMPLES)
    set(output "${arg_OUTPUT}")
    list(FIND arg_EXCEPT ${sample} at)
    if(NOT at EQUAL -1)
      math(EXPR at "${at} + 1")
      list(GET arg_EXCEPT ${at} output)
    endif()
    set(name ${sample}.np${SAMPLE_${sample}_NP})
    partita_expect_run(app.${app}.${name} NP ${SAMPLE_${sample}_NP} OUTPUT "${output}" LABELS app
                       COMMAND $<TARGET_FILE:${app}> ${SAMPLE_${sample}_ARGUMENTS}
                               --output ${CMAKE_CURRENT_BINARY_DIR}/${name}.h5)
  endforeach()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  partita_read_samples(${APP} ${MAIN})
  foreach(sample IN LISTS SAMPLES)
    message("${sample}: ${SAMPLE_${sample}_NP} ranks: ${SAMPLE_${sample}_ARGUMENTS}")
  endforeach()
endif()
