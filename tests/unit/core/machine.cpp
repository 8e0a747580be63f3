// SPDX-License-Identifier: BSD-3-Clause
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/machine.hpp>

namespace {

using namespace partita;

TEST(machine, fields_are_filled_and_plausible) {
  const MachineInfo info = machine_info();
  char hostname[256] = "";
  ASSERT_EQ(gethostname(hostname, sizeof hostname), 0);
  EXPECT_EQ(info.hostname, hostname);
  EXPECT_FALSE(info.cpu_model.empty());
  EXPECT_EQ(info.operating_system.rfind("Linux ", 0), 0u) << info.operating_system;
  EXPECT_TRUE(
      (std::set<std::string>{"avx512", "avx2", "avx", "sse2", "sve", "neon", "unknown"}.count(info.instruction_set)));
  EXPECT_GE(info.cores_online, 1);
  EXPECT_GT(info.memory_bytes, std::int64_t{64} << 20);
  EXPECT_GE(info.l1d_bytes, 0);
  if (info.l1d_bytes > 0 && info.l2_bytes > 0) {
    EXPECT_GE(info.l2_bytes, info.l1d_bytes);
  }
}

TEST(machine, mask_is_the_one_of_the_scheduler) {
  const std::vector<int> mask = cpu_mask();
  ASSERT_FALSE(mask.empty());
  EXPECT_TRUE(std::is_sorted(mask.begin(), mask.end()));
  EXPECT_EQ(machine_info().cores_in_mask, static_cast<int>(mask.size()));

  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  CPU_SET(mask.back(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(cpu_mask(), std::vector<int>{mask.back()});
  EXPECT_EQ(machine_info().cores_in_mask, 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(machine, peak_memory_grows_with_what_is_touched) {
  constexpr std::int64_t block_bytes = 64 << 20;
  const std::int64_t before = peak_memory_bytes();
  EXPECT_GT(before, 1 << 20);
  {
    std::vector<char> block(before + block_bytes, 1);
    EXPECT_EQ(block.back(), 1);
  }
  EXPECT_GT(peak_memory_bytes(), before + block_bytes / 2);  // also once it is freed
}

}  // namespace
