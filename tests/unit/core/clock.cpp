// SPDX-License-Identifier: BSD-3-Clause
#include <regex>

#include <gtest/gtest.h>

#include <partita/core/clock.hpp>

namespace {

using namespace partita;

TEST(clock, intervals_never_run_backwards) {
  std::int64_t last = now_ns();
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t now = now_ns();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(clock, instants_count_from_1970) {
  const std::int64_t january_2024_ns = 1'704'067'200'000'000'000;
  EXPECT_GT(unix_ns(), january_2024_ns);
  EXPECT_EQ(utc(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc(1'709'210'096'999'999'999), "2024-02-29T12:34:56Z");
  EXPECT_TRUE(std::regex_match(utc_now(), std::regex("20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ"))) << utc_now();
}

TEST(clock, seconds_are_a_thousand_million_nanoseconds) {
  EXPECT_DOUBLE_EQ(seconds(1'500'000'000), 1.5);
  EXPECT_DOUBLE_EQ(seconds(-1), -1e-9);
}

}  // namespace
