// SPDX-License-Identifier: BSD-3-Clause
#include <fstream>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/text_file.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::text_file_tests {
namespace {

using testing::caught;

TEST(text_file, is_read_as_it_is) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "a", text = std::string("one\r\n\0two", 9) + std::string(50'000, 'x');
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(read_text_file(path, "text"), text);
  EXPECT_EQ(read_text_file(path, "text", text.size()), text);
}

TEST(text_file, what_is_none_is_named) {
  const testing::TemporaryFolder folder;
  const auto refusal = [](const std::string& path) {
    return caught<UsageError>([&] { read_text_file(path, "a list", 1000); });
  };
  EXPECT_EQ(refusal(folder.path()), folder.path() + ": it is a folder: expected a list");
  EXPECT_EQ(refusal(folder / "gone"), folder / "gone: it cannot be read: No such file or directory: expected a list");
  EXPECT_EQ(refusal("/dev/zero"), "/dev/zero: it goes on after 1000 bytes: expected a list");
}

}  // namespace
}  // namespace partita::text_file_tests
