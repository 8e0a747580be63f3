// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace partita {

/// What this host is, as far as /proc, sysconf and the scheduler tell. Strings that could not be learnt are "unknown",
/// numbers 0.
struct MachineInfo {
  std::string hostname;
  std::string operating_system;  ///< "Linux 6.1.0"
  std::string cpu_model;         ///< "AMD EPYC 9654 96-Core Processor"
  std::string
      instruction_set;    ///< widest vector instruction set of this CPU: "avx512", "avx2", "avx", "sse2", "sve", "neon"
  int cores_online = 0;   ///< hardware threads that the system has
  int cores_in_mask = 0;  ///< of those, the ones that this process may use
  std::int64_t l1d_bytes = 0;  ///< data caches, one instance each
  std::int64_t l2_bytes = 0;
  std::int64_t l3_bytes = 0;
  std::int64_t memory_bytes = 0;  ///< physical memory of the host
};

/// Reads it anew with every call: some file reads, microseconds to a millisecond.
MachineInfo machine_info();

/// Hardware threads that the calling thread may use, ascending.
std::vector<int> cpu_mask();

/// Where what outlives a checkout is kept: $PARTITA_CACHE, else $XDG_CACHE_HOME/partita, else ~/.cache/partita; empty
/// where none of the variables is set. It need not exist.
std::string cache_folder();

/// Largest resident set that this process ever had.
std::int64_t peak_memory_bytes();

}  // namespace partita
