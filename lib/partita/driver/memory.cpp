// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/memory.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/types.hpp>

namespace partita::driver {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();

// The number that a file holds; `otherwise` when it holds none ("max") or is not there.
std::int64_t number_in(const fs::path& path, std::int64_t otherwise) {
  std::ifstream file(path);
  std::int64_t number = 0;
  return file >> number ? number : otherwise;
}

// The number behind a key that begins a line; 0 when it is not there.
std::int64_t number_of(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t number = 0;
    if (words >> name >> number && name == key) return number;
  }
  return 0;
}

// How the two versions of control groups name things.
struct GroupFiles {
  const char *mount, *limit, *usage, *droppable;
};
constexpr GroupFiles version_1{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                               "total_inactive_file"};
constexpr GroupFiles version_2{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

// The least room of a group and those around it. A group may be named as seen from outside a container: then only the
// mount itself is there.
std::int64_t room_in(const fs::path& root, const GroupFiles& files, fs::path group) {
  std::int64_t least = unlimited;
  while (true) {
    const fs::path folder = root / files.mount / group.relative_path();
    const std::int64_t limit = number_in(folder / files.limit, unlimited);
    const std::int64_t usage = number_in(folder / files.usage, 0);
    if (limit < unlimited)
      least = std::min(least,
                       limit - std::max<std::int64_t>(0, usage - number_of(folder / "memory.stat", files.droppable)));
    if (!group.has_relative_path()) return std::max<std::int64_t>(least, 0);
    group = group.parent_path();
  }
}

std::string in_gb(double bytes) { return fmt::format("{:.3g} GB", 1e-9 * bytes); }

}  // namespace

std::int64_t available_memory_bytes(const std::string& root) {
  const fs::path from = root + "/";
  const std::int64_t available = number_of(from / "proc/meminfo", "MemAvailable:") * 1024;
  if (available == 0) return 0;
  std::int64_t least = available;
  std::ifstream groups(from / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path", "4:memory:/path"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") least = std::min(least, room_in(from, version_2, group));
    if (controllers.find(",memory,") != std::string::npos) least = std::min(least, room_in(from, version_1, group));
  }
  return least;
}

void require_memory(const comm::Communicator& world, const std::vector<MemoryNeed>& needs) {
  if (!Kokkos::SpaceAccessibility<HostExec, Memory>::accessible) return;
  const comm::Communicator node = world.split_by_node();
  std::vector<double> bytes;
  for (const MemoryNeed& need : needs) bytes.push_back(need.bytes);
  node.allreduce(std::span<double>(bytes), comm::Op::sum);
  double all = 0, held = 0;
  for (std::size_t k = 0; k < needs.size(); ++k) (needs[k].held ? held : all) += bytes[k];
  all += held;
  // All look before one takes: a rank that is ahead would be counted twice.
  const double there = static_cast<double>(node.allreduce(available_memory_bytes(), comm::Op::min)) + held;
  const double missing = there > held ? all - there : 0;
  if (world.all_of(missing <= 0)) return;

  // The node that is worst off speaks; its root is its voice.
  const double most = world.allreduce(missing, comm::Op::max);
  const int speaker = world.allreduce(missing == most ? world.rank() : world.size(), comm::Op::min);
  std::string parts;
  for (std::size_t k = 0; k < needs.size(); ++k)
    if (bytes[k] > 0) parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", needs[k].what, in_gb(bytes[k]));
  std::string found = fmt::format("the {} rank{} of a node need {} ({}), {} are there", node.size(),
                                  node.size() > 1 ? "s" : "", in_gb(all), parts, in_gb(there));
  world.broadcast(found, speaker);
  refuse<EnvironmentError>("memory", found, "a smaller model or batch, or more memory for each rank");
}

}  // namespace partita::driver
