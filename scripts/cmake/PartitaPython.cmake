# SPDX-License-Identifier: BSD-3-Clause
# PARTITA_PYTHON: the Python that runs tests of the tool and of records. Default: build/venv, which scripts/bootstrap makes, as soon as it
# is there; until then the system's.
set(PARTITA_PYTHON "" CACHE FILEPATH "Python with the packages of scripts/partita/requirements.txt")
if(NOT PARTITA_PYTHON)
  if(EXISTS ${PROJECT_SOURCE_DIR}/build/venv/bin/python)
    set(PARTITA_PYTHON ${PROJECT_SOURCE_DIR}/build/venv/bin/python)
  else()
    find_package(Python3 3.9 QUIET COMPONENTS Interpreter)
    set(PARTITA_PYTHON ${Python3_EXECUTABLE})
  endif()
endif()
