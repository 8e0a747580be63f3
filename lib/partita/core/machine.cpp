// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/machine.hpp>

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace partita {
namespace {

// The value of the first "key<blanks>: value" line of /proc/cpuinfo, or nothing.
std::string cpuinfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto end = line.find_last_not_of(" \t", colon == 0 ? 0 : colon - 1);
    if (line.substr(0, end + 1) != key) continue;
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return {};
}

std::string instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
  if (__builtin_cpu_supports("avx")) return "avx";
  return "sse2";
#elif defined(__aarch64__)
  return (" " + cpuinfo("Features") + " ").find(" sve ") != std::string::npos ? "sve" : "neon";
#else
  return "unknown";
#endif
}

std::string known(std::string text) { return text.empty() ? "unknown" : text; }

// sysconf answers -1 for what it does not know.
std::int64_t system_value(int name) { return std::max<std::int64_t>(0, sysconf(name)); }

}  // namespace

std::vector<int> cpu_mask() {
  std::vector<int> result;
  // A host may have more hardware threads than cpu_set_t has bits; the kernel then refuses the smaller mask.
  for (int limit = CPU_SETSIZE; limit <= (1 << 20); limit *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(limit),
                                                                [](cpu_set_t* set) { CPU_FREE(set); });
    const std::size_t size = CPU_ALLOC_SIZE(limit);
    if (!mask || sched_getaffinity(0, size, mask.get()) != 0) continue;
    for (int core = 0; core < limit; ++core) {
      if (CPU_ISSET_S(core, size, mask.get())) result.push_back(core);
    }
    break;
  }
  return result;
}

std::string cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string own = variable("PARTITA_CACHE"); !own.empty()) return own;
  if (const std::string xdg = variable("XDG_CACHE_HOME"); !xdg.empty()) return xdg + "/partita";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/partita";
  return {};
}

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;  // Linux counts KiB
}

MachineInfo machine_info() {
  MachineInfo info;
  utsname names{};
  if (uname(&names) == 0) {
    info.hostname = names.nodename;
    info.operating_system = std::string(names.sysname) + " " + names.release;
  }
  info.hostname = known(info.hostname);
  info.operating_system = known(info.operating_system);
  info.cpu_model = known(cpuinfo("model name"));
  info.instruction_set = instruction_set();
  info.cores_online = static_cast<int>(system_value(_SC_NPROCESSORS_ONLN));
  info.cores_in_mask = static_cast<int>(cpu_mask().size());
  info.l1d_bytes = system_value(_SC_LEVEL1_DCACHE_SIZE);
  info.l2_bytes = system_value(_SC_LEVEL2_CACHE_SIZE);
  info.l3_bytes = system_value(_SC_LEVEL3_CACHE_SIZE);
  info.memory_bytes = system_value(_SC_PHYS_PAGES) * system_value(_SC_PAGESIZE);
  return info;
}

}  // namespace partita
