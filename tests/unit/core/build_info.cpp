// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <regex>
#include <vector>

#include <gtest/gtest.h>
#include <Kokkos_Macros.hpp>

#include <partita/core/build_info.hpp>
#include <partita/core/machine.hpp>

namespace {

using namespace partita;

TEST(build_info, fields_are_filled) {
  const BuildInfo& info = build_info();
  EXPECT_TRUE(std::regex_match(info.version, std::regex("\\d+\\.\\d+\\.\\d+"))) << info.version;
  EXPECT_TRUE(std::regex_match(info.git_sha, std::regex("[0-9a-f]{40}|unknown"))) << info.git_sha;
  EXPECT_TRUE(std::regex_match(info.compiler, std::regex("\\w+ \\d+[.\\d]*"))) << info.compiler;
  EXPECT_EQ(info.kokkos_version, std::to_string(KOKKOS_VERSION_MAJOR) + "." + std::to_string(KOKKOS_VERSION_MINOR) +
                                     "." + std::to_string(KOKKOS_VERSION_PATCH));
  EXPECT_EQ(info.flags.find("-W"), std::string::npos) << info.flags;
  EXPECT_EQ(info.flags, std::regex_replace(info.flags, std::regex("^ +| +$|( ) +"), "$1"));
#ifdef __OPTIMIZE__
  EXPECT_NE(info.flags.find("-O"), std::string::npos) << info.flags;
#endif
}

TEST(build_info, this_machine_runs_what_was_compiled) {
  const std::vector<std::string> x86{"sse2", "avx", "avx2", "avx512"};
  const auto compiled = std::find(x86.begin(), x86.end(), build_info().isa_compiled);
  const auto here = std::find(x86.begin(), x86.end(), machine_info().instruction_set);
  if (here != x86.end()) {
    EXPECT_LE(compiled, here);
  }
}

}  // namespace
