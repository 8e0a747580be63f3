// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace partita {

/// How this program was built. Fields that could not be learnt are "unknown".
struct BuildInfo {
  std::string version;         ///< of Partita
  std::string git_sha;         ///< 40 hex digits; refreshed by every build
  bool git_dirty;              ///< tracked files differed from git_sha
  std::string compiler;        ///< "GNU 12.2.0"
  std::string flags;           ///< that change code: no warnings, no include paths
  std::string build_type;      ///< "Release"
  std::string kokkos_version;  ///< "4.7.0"
  std::string isa_compiled;    ///< widest vector instruction set that code was generated for: "avx512", "avx2", "sse2",
                               ///< "neon", ...
};

const BuildInfo& build_info();

}  // namespace partita
