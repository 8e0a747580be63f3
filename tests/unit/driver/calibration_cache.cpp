// SPDX-License-Identifier: BSD-3-Clause
// What a damaged file of the cache must not do: stop a run, or give it rates that no machine has.
#include <string>

#include <gtest/gtest.h>

#include <partita/driver/calibration_cache.hpp>

namespace partita::driver::calibration_cache_tests {
namespace {

const std::string sound = R"({"name":"gemm_flop_per_s","value":1e11,"unit":"1/s","long_name":"fp32"})";

std::string file_of(const std::string& entries) { return R"({"key":"k","entries":[)" + entries + "]}"; }

TEST(calibration_cache, what_is_written_is_read) {
  const std::vector<metrics::CalibrationEntry> entries{{"gemm_flop_per_s", 1e11, "1/s", "fp32"},
                                                       {"fixed_work_noise", 0, "1", "99th over median, minus 1"}};
  const auto read = read_calibration(write_calibration("k", "now", entries), "k");
  ASSERT_TRUE(read && read->size() == 2);
  EXPECT_EQ((*read)[0].name, "gemm_flop_per_s");
  EXPECT_EQ((*read)[0].value, 1e11);
  EXPECT_EQ((*read)[1].long_name, entries[1].long_name);
}

TEST(calibration_cache, another_machines_gives_none) {
  const auto read = read_calibration(file_of(sound), "another");
  EXPECT_TRUE(read && read->empty());
}

TEST(calibration_cache, damage_is_seen) {
  ASSERT_TRUE(read_calibration(file_of(sound), "k"));
  const auto with = [](const char* name, const char* value, const char* unit) {
    return file_of(std::string(R"({"name":")") + name + R"(","value":)" + value + R"(,"unit":")" + unit +
                   R"(","long_name":"x"})");
  };
  EXPECT_TRUE(read_calibration(with("a_s", "0", "s"), "k"));
  for (const std::string& text :
       {std::string(), std::string("[1]"), std::string(R"({"key":"k"})"), std::string(R"({"key":1,"entries":[]})"),
        file_of(""), file_of("1"), file_of(sound + "," + sound), file_of(sound).substr(0, 60), std::string(5000, '['),
        with("a_per_s", "0", "1/s"), with("a_s", "-1", "s"), with("a_s", "true", "s"), with("a_s", "null", "s"),
        with("a_s", "1e999", "s"), with("a\\u0000b", "1", "s"), with("a_s", "1", "\\n"), with("", "1", "s")})
    EXPECT_FALSE(read_calibration(text, "k")) << text;
}

}  // namespace
}  // namespace partita::driver::calibration_cache_tests
