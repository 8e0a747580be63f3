# SPDX-License-Identifier: BSD-3-Clause
# Installs the build into a fresh prefix, moves that prefix (an installation must not remember where it was made), then configures, builds and
# runs the consumer project against it, and an installed app.
file(REMOVE_RECURSE ${WORK}/staged ${WORK}/prefix ${WORK}/build)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/staged)
file(RENAME ${WORK}/staged ${WORK}/prefix)
foreach(part ON OFF)  # nn alone, where MPI and HDF5 cannot be found; all
  set(hidden "")
  if(part)
    set(hidden -DNN_ONLY=ON -DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON -DCMAKE_DISABLE_FIND_PACKAGE_HDF5=ON)
  endif()
  run(${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build/${part} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
      -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${WORK}/prefix ${hidden})
  run(${CMAKE_COMMAND} --build ${WORK}/build/${part})
  run(${WORK}/build/${part}/consumer)
endforeach()
run(${WORK}/prefix/bin/mlp_dp --version)
