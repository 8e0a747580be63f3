# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Sourced by bootstrap, quickstart and test: where things are kept, a line per stage, the set-up. What a user can set:
#   PARTITA_CACHE           where built dependencies are kept (default ~/.cache/partita)
#   PARTITA_JOBS            parallel compile jobs (default: cores, at most one for 1.5 GiB of memory)
#   PYTHON                   the Python to make build/venv from (3.11 or newer)
#   PARTITA_CUDA_ARCH       Kokkos' name of the GPU architecture (default HOPPER90)
#   PARTITA_SKIP_PACKAGES   1: do not look for system packages
#   CXX, CCACHE_DIR, CMAKE_GENERATOR, Kokkos_ROOT, CMAKE_PREFIX_PATH ...   as everywhere
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
mkdir -p "$logs" "$root/build/deps"
cd "$root"

export PATH=${PATH:-/usr/local/bin:/usr/bin:/bin} # env -i leaves it unset
have() { command -v "$1" >/dev/null 2>&1; }
have nvcc || ! [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] || PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
cache=${PARTITA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/partita}
if ! mkdir -p "$cache/lock" 2>/dev/null; then
  echo "error: cannot write to $cache: set PARTITA_CACHE to a folder that you own" >&2
  exit 4
fi

# ---------------------------------------------------------------------------------------------------------------------- stages
# stage <name> <command...>: runs it with its output in build/logs and prints a line with its seconds and CPU-seconds; on failure the end of
# the log, and exits. Inside, note <text> says something for that line. Stages are subshells: they leave files, not variables.
stage() {
  run_stage "$@"
  [ "$stage_status" = 0 ] || exit "$stage_status"
}

# The same, but a failure is remembered for the end (variable failed) and the script goes on.
failed=""
stage_or_go_on() {
  run_stage "$@"
  [ "$stage_status" = 0 ] || failed="$failed $1"
}

# Leaves in cpu_seconds what this script and all that it has run and waited for have used, user and system. Not in a subshell: it begins at 0.
read_cpu_seconds() {
  times >"$logs/times.$$"
  cpu_seconds=$(tr , . <"$logs/times.$$" | awk -F '[ms ]+' '{ sum += 60 * $1 + $2 + 60 * $3 + $4 } END { printf "%.0f", sum }')
  rm -f "$logs/times.$$"
}

# Leaves its outcome in stage_status: called as a condition (run_stage ... || ...), bash would switch errexit off in everything below.
run_stage() {
  local name=$1 log=$logs/${0##*/}-$1.log start=$SECONDS verdict="" cpu_start
  shift
  read_cpu_seconds
  cpu_start=$cpu_seconds
  : >"$logs/note.$$"
  [ ! -t 1 ] || printf '%-14s ...\r' "$name"
  set +e
  (
    set -e
    "$@"
  ) </dev/null >"$log" 2>&1
  stage_status=$?
  set -e
  [ $stage_status = 0 ] || verdict="FAILED  "
  read_cpu_seconds
  printf '%-14s %5d s  %5d CPU-s  %s%s\n' "$name" $((SECONDS - start)) $((cpu_seconds - cpu_start)) "$verdict" "$(cat "$logs/note.$$")"
  rm -f "$logs/note.$$"
  [ $stage_status = 0 ] || { tail -n 60 "$log" && echo "error: stage $name failed; the whole log is $log"; } >&2
}

note() { printf '%s' "$*" >"$logs/note.$$"; }

# locked <name> <command...>: one process at a time does it for this cache.
locked() {
  local name=$1
  shift
  ! have flock || { exec 9>"$cache/lock/$name" && flock 9; }
  "$@"
  exec 9>&-
}

hash_of() { sha256sum | cut -c1-12; }

job_count() {
  local by_memory=64
  [ ! -r /proc/meminfo ] || by_memory=$(awk '/MemAvailable/ { n = int($2 / 1572864); print n < 1 ? 1 : n }' /proc/meminfo)
  local cores
  cores=$(nproc 2>/dev/null || echo 2)
  echo "${PARTITA_JOBS:-$((cores < by_memory ? cores : by_memory))}"
}

# -------------------------------------------------------------------------------------------------------------------- packages
# What is looked for, and the Debian package that has it. A thing that is there by other means (a module, Spack) is not asked for.
packages() {
  local missing=() package probe
  while read -r package probe; do
    case $probe in
      command:*) have "${probe#*:}" || missing+=("$package") ;;
      header:*) has_header "${probe#*:}" || missing+=("$package") ;;
      file:*) [ -e "${probe#*:}" ] || missing+=("$package") ;;
      venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing+=("$package") ;;
    esac
  done <<'END'
build-essential         command:c++
cmake                   command:cmake
ninja-build             command:ninja
ccache                  command:ccache
git                     command:git
patch                   command:patch
mpich                   command:mpiexec
libmpich-dev            command:mpicc
libhdf5-dev             command:h5cc
hdf5-tools              command:h5dump
libdnnl-dev             header:oneapi/dnnl/dnnl.hpp
libtomlplusplus-dev     header:toml++/toml.h
libcli11-dev            header:CLI/CLI.hpp
libfmt-dev              header:fmt/core.h
nlohmann-json3-dev      header:nlohmann/json.hpp
zlib1g-dev              header:zlib.h
liblzma-dev             header:lzma.h
libgtest-dev            header:gtest/gtest.h
libbenchmark-dev        header:benchmark/benchmark.h
dataset-fashion-mnist   file:/usr/share/datasets/fashion-mnist
bible-kjv               command:bible
python3                 command:python3
python3-venv            venv
END
  if [ ${#missing[@]} = 0 ]; then
    note "nothing missing"
  elif ! have apt-get; then
    note "not found: ${missing[*]} (names as in Debian); going on without"
  elif [ "$(id -u)" = 0 ]; then
    apt-get update || true # a source that does not answer need not be the one that has them
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 "${missing[@]}"
    note "installed ${missing[*]}"
  else
    echo "Packages are missing. Run this as root, then start again (PARTITA_SKIP_PACKAGES=1 goes on without them):"
    echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    return 4
  fi
}

# optional_package <Debian's names> <what is skipped without them> <test that they are there>
optional_package() {
  local names=$1 skipped=$2 there=$3
  if $there; then
    note "already there"
  elif have apt-get && [ "$(id -u)" = 0 ]; then
    # shellcheck disable=SC2206
    local install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 $names)
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" || { apt-get update && "${install[@]}"; } || true
    if $there; then note "installed $names"; else note "not found: $skipped"; fi
  else
    note "not here (Debian: $names): $skipped"
  fi
}

# For one test: tests/slurm starts a Slurm of its own.
slurm_package() { optional_package slurm-wlm "its test is skipped" have_slurm; }
have_slurm() { [ -x /usr/sbin/slurmctld ] || have slurmctld; }

# For the fuzzers of tests/fuzz.
fuzzer_packages() { optional_package "clang libclang-rt-14-dev" "fuzzers are skipped" have_fuzzer; }
have_fuzzer() {
  local probe=$logs/fuzzer.$$ status=0
  echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    clang++ -x c++ -fsanitize=fuzzer,address - -o "$probe" 2>/dev/null || status=1
  rm -f "$probe"
  return $status
}

has_header() {
  have c++ && printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" | c++ -std=c++17 -E -x c++ - >/dev/null 2>&1
}

# The stages that every script begins with.
set_up() {
  if [ "${PARTITA_SKIP_PACKAGES:-0}" != 1 ]; then stage packages packages; fi
  choose_tools
  stage text locked text corpus
  stage python locked python python_environment
}

# Ninja and ccache where they are; what the user set stays. ccache learns the include files from the compiler (depend mode: device code is
# invisible to the preprocessor run that it would make of nvcc), takes paths relative to the checkout (a second clone hits), keeps
# instruction sets apart (-march=native is the same text on every machine), and trusts precompiled headers, even new ones (sloppiness).
choose_tools() {
  if have ninja; then export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}; fi
  if have ccache; then
    export CMAKE_C_COMPILER_LAUNCHER=${CMAKE_C_COMPILER_LAUNCHER-ccache} CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache}
    export CCACHE_DIR=${CCACHE_DIR:-$cache/ccache} CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
    export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros,include_file_ctime,include_file_mtime}
    export CCACHE_NAMESPACE=${CCACHE_NAMESPACE:-partita-$(isa_key)}
  fi
}

# ------------------------------------------------------------------------------------------------------------------------ text
# The King James Bible as Debian's program prints it, a verse a line: what data.source = "text" reads where no data.path is given.
corpus() {
  local text=$cache/kjv.txt verses
  note "already there"
  [ ! -s "$text" ] || return 0
  if ! have bible; then
    note "no program bible (Debian: bible-kjv): going on without"
    return 0
  fi
  bible -f gen1:1-rev22:21 </dev/null >"$text.part"
  verses=$(grep -c . "$text.part")
  [ "$verses" = 31102 ] || { echo "bible printed $verses verses, not 31102" && return 1; }
  mv "$text.part" "$text"
  note "made $text"
}

# ---------------------------------------------------------------------------------------------------------------------- python
# build/venv: the pinned packages stand once in the cache, for every checkout; the environment itself only points there.
python_environment() {
  local python=${PYTHON:-python3} requirements=$root/scripts/partita/requirements.txt version site venv=$root/build/venv
  version=$("$python" -c 'import sys, sysconfig; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed: set PYTHON"
print("%d.%d.%d-%s" % (*sys.version_info[:3], sysconfig.get_platform()))')
  site=$cache/python-$version-$(hash_of <"$requirements")
  if [ "$(cat "$venv/.packages" 2>/dev/null)" != "$site" ] || ! [ -x "$venv/bin/python" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
  fi
  note "already there"
  [ -d "$site" ] || install_python_packages "$venv/bin/python" "$requirements" "$site"
  printf '%s\n' "$root/scripts/partita" "$site" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/partita.pth"
  printf '#!%s\nimport sys\n\nfrom partita.cli import main\n\nsys.exit(main())\n' "$venv/bin/python" >"$venv/bin/partita"
  chmod +x "$venv/bin/partita"
  echo "$site" >"$venv/.packages"
}

install_python_packages() {
  local python=$1 requirements=$2 site=$3
  rm -rf "$site.part"
  "$python" -m pip install --disable-pip-version-check --no-input --no-warn-script-location --target "$site.part" -r "$requirements"
  mv "$site.part" "$site"
  note "installed in $site"
}

# ---------------------------------------------------------------------------------------------------------------------- Kokkos
# kokkos <preset>: sees to it that the preset finds a Kokkos. The site's wins; else one is built in the cache, and the file kokkos_hint
# names points to it. Presets release and ci share one.
kokkos() {
  local flavour flags=() hint source final description
  flavour=$(kokkos_flavour "$1")
  hint=$(kokkos_hint "$1")
  case $flavour in
    debug) flags=(-DKokkos_ENABLE_DEBUG=ON -DKokkos_ENABLE_DEBUG_BOUNDS_CHECK=ON) ;;
    cuda) flags=(-DKokkos_ENABLE_CUDA=ON "-DKokkos_ARCH_${PARTITA_CUDA_ARCH:-HOPPER90}=ON") ;;
  esac
  if description=$(site_kokkos "$flavour"); then
    echo "# The Kokkos of this site is used: $description" >"$hint"
    note "the site's: $description"
    return 0
  fi
  flags+=(-DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_STANDARD=20 -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DKokkos_ENABLE_SERIAL=ON
    -DKokkos_ENABLE_OPENMP=ON -DKokkos_ARCH_NATIVE=ON -DKokkos_ENABLE_DEPRECATED_CODE_4=OFF)
  # Clang has no OpenMP without a package of its own, and the thread sanitizer does not see what GCC's is waiting for.
  case $flavour in fuzz | tsan) flags+=(-DKokkos_ENABLE_OPENMP=OFF) ;; esac
  if miscompiles_constants; then flags+=("-DCMAKE_CXX_FLAGS=${CXXFLAGS:-} -mmove-max=128 -mstore-max=128"); fi
  locked kokkos-source kokkos_source
  source=$(cat "$cache/kokkos-source")
  final=$cache/$(basename "$source")-$flavour-$(isa_key)-$({
    "${CXX:-c++}" --version
    [ "$flavour" != cuda ] || nvcc --version
    echo "${flags[*]} ${CXXFLAGS:-}"
    cat "$root"/scripts/cmake/patches/*
  } | hash_of)
  note "already in $final"
  [ -d "$final" ] || locked "$(basename "$final")" build_kokkos "$source" "$final" "${flags[@]}"
  echo "set(PARTITA_KOKKOS_HINT $final)" >"$hint"
}

# GCC before 13: see the same flags in PartitaOptions.cmake.
miscompiles_constants() {
  [ "$("${CXX:-c++}" -dM -E -x c++ /dev/null | awk '/__GNUC__ / { gnu = $3 } /__clang__/ { gnu = 99 } END { print gnu ? gnu : 99 }')" -lt 13 ] &&
    "${CXX:-c++}" -mmove-max=128 -mstore-max=128 -fsyntax-only -x c++ /dev/null 2>/dev/null
}

kokkos_flavour() {
  case $1 in dev) echo debug ;; cuda*) echo cuda ;; fuzz | tsan) echo "$1" ;; *) echo host ;; esac
}

kokkos_hint() { echo "$root/build/deps/kokkos-$(kokkos_flavour "$1").cmake"; }

isa_key() { cmake -DCOMPILER="${CXX:-c++}" -P "$root/scripts/cmake/PartitaIsa.cmake"; }

# Prints what Kokkos CMake finds by itself for this flavour; fails where it finds none that serves.
site_kokkos() {
  local folder found status=0
  folder=$(mktemp -d)
  cat >"$folder/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(probe LANGUAGES CXX)
find_package(Kokkos 4.7 CONFIG)
if(NOT Kokkos_FOUND OR (FLAVOUR STREQUAL cuda AND NOT CUDA IN_LIST Kokkos_DEVICES))
  message(FATAL_ERROR "none")
endif()
file(WRITE ${CMAKE_BINARY_DIR}/found "Kokkos ${Kokkos_VERSION} (${Kokkos_DEVICES}) in ${Kokkos_DIR}")
END
  cmake -S "$folder" -B "$folder/build" -DFLAVOUR="$1" >/dev/null 2>&1 && found=$(cat "$folder/build/found") || status=1
  rm -rf "$folder"
  [ $status = 0 ] && echo "$found"
}

# Unpacks Kokkos in the cache and leaves the folder's name in $cache/kokkos-source. From a folder that the caller names, else upstream's pinned
# release, else, where no git host is reached, the copy that Sandia's pygenten carries on PyPI.
kokkos_source() {
  local work=$cache/kokkos-source.part archive version folder
  if [ -n "${FETCHCONTENT_SOURCE_DIR_KOKKOS:-}" ]; then
    echo "$FETCHCONTENT_SOURCE_DIR_KOKKOS" >"$cache/kokkos-source"
    return 0
  fi
  folder=$(cat "$cache/kokkos-source" 2>/dev/null || true)
  case $folder in "$cache"/*) [ ! -f "$folder/CMakeLists.txt" ] || return 0 ;; esac
  rm -rf "$work"
  mkdir -p "$work/kokkos"
  if cmake -DOUTPUT="$work/kokkos.tar.gz" -P "$root/scripts/cmake/KokkosRelease.cmake"; then
    tar -xzf "$work/kokkos.tar.gz" -C "$work/kokkos" --strip-components=1
  else
    echo "No git host reached: taking the Kokkos in pygenten's source distribution."
    (cd "$work" && "$root/build/venv/bin/python" -m pip download --disable-pip-version-check --no-input --no-deps --no-binary pygenten pygenten==0.1.5)
    archive=$work/pygenten-0.1.5.tar.gz
    echo "e620f05c742905e2db705d875f1cac92ef0ed453f9e6734e9beda26cc0f9cce7  $archive" | sha256sum -c -
    tar -xzf "$archive" -C "$work/kokkos" --strip-components=3 pygenten-0.1.5/tpls/kokkos
  fi
  version=$(sed -n 's/^set(Kokkos_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\)).*/\2/p' "$work/kokkos/CMakeLists.txt" | paste -sd.)
  if [ "$version" = 4.7.0 ]; then
    patch -d "$work/kokkos" -p1 <"$root/scripts/cmake/patches/kokkos-4.7.0.patch"
  fi
  rm -rf "$cache/kokkos-$version"
  mv "$work/kokkos" "$cache/kokkos-$version"
  echo "$cache/kokkos-$version" >"$cache/kokkos-source"
  rm -rf "$work"
}

# Built beside its place and moved there whole: an interruption leaves nothing that looks finished.
build_kokkos() {
  local source=$1 final=$2 work=$2.part
  shift 2
  [ ! -d "$final" ] || return 0 # somebody else was first
  rm -rf "$work"
  case $final in
    *-cuda-*)
      set -- "$@" -DCMAKE_CXX_COMPILER="$source/bin/nvcc_wrapper"
      export NVCC_WRAPPER_DEFAULT_COMPILER=${NVCC_WRAPPER_DEFAULT_COMPILER:-${CXX:-g++}}
      ;;
  esac
  cmake -S "$source" -B "$work/build" -DCMAKE_INSTALL_PREFIX="$final" -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0 "$@"
  cmake --build "$work/build" -j "$(job_count)"
  DESTDIR=$work/root cmake --install "$work/build" >/dev/null
  sed -i "s|$source/bin/nvcc_wrapper|$final/bin/nvcc_wrapper|" "$work/root$final"/lib*/cmake/Kokkos/*.cmake
  mv "$work/root$final" "$final"
  rm -rf "$work"
  note "built in $final"
}

# CUDA code is compiled where there is an nvcc, GPU or not.
have_cuda() {
  local release
  release=$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
  [ -n "$release" ] && [ "$(printf '12.2\n%s\n' "$release" | sort -V | head -n 1)" = 12.2 ]
}

# ------------------------------------------------------------------------------------------------------------------- configure
# configure <preset> [cache arguments...]: in build/<preset>, which starts anew when compiler, instruction set or Kokkos are others.
configure() {
  local preset=$1 build=$root/build/$1 identity
  shift
  identity=$({
    "${CXX:-c++}" --version | head -n 1
    isa_key
    cat "$(kokkos_hint "$preset")"
  } | hash_of)
  if [ -e "$build/.identity" ] && [ "$(cat "$build/.identity")" != "$identity" ]; then
    note "started anew: compiler, instruction set or Kokkos changed"
    rm -rf "$build"
  fi
  cmake --preset "$preset" "$@"
  echo "$identity" >"$build/.identity"
}

build() { # <preset> <target...>
  cmake --build "$root/build/$1" -j "$(job_count)" --target "${@:2}"
}
