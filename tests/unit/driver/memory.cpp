// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <partita/driver/memory.hpp>

#include <support/temporary_folder.hpp>

namespace partita::driver::memory_tests {
namespace {

// A made-up /proc and /sys.
struct Machine {
  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = folder / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::int64_t available() const { return available_memory_bytes(folder.path()); }
  testing::TemporaryFolder folder;
};

TEST(memory, without_groups_it_is_what_the_kernel_says) {
  const Machine machine;
  EXPECT_EQ(machine.available(), 0) << "not known";
  machine.write("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:    7000 kB\n");
  EXPECT_EQ(machine.available(), 7000 * 1024);
}

TEST(memory, the_tightest_group_around_the_process_counts) {
  const Machine machine;
  machine.write("proc/meminfo", "MemAvailable: 7000 kB\n");
  machine.write("proc/self/cgroup", "0::/job/step\n");
  machine.write("sys/fs/cgroup/job/step/memory.max", "max\n");
  machine.write("sys/fs/cgroup/job/memory.max", "1000000\n");
  machine.write("sys/fs/cgroup/job/memory.current", "600000\n");
  machine.write("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 250000\n");
  EXPECT_EQ(machine.available(), 1000000 - (600000 - 250000));
  machine.write("sys/fs/cgroup/memory.max", "5000\n");
  EXPECT_EQ(machine.available(), 5000) << "the outermost one";
}

TEST(memory, groups_of_version_one_are_read_too) {
  const Machine machine;
  machine.write("proc/meminfo", "MemAvailable: 7000 kB\n");
  machine.write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/seen/from/outside\n");
  machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n");
  machine.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "300000\n");
  machine.write("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 100000\n");
  EXPECT_EQ(machine.available(), 800000);
}

TEST(memory, this_machine_has_some) { EXPECT_GT(available_memory_bytes(), 1 << 20); }

}  // namespace
}  // namespace partita::driver::memory_tests
