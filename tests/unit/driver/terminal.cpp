// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/driver/session.hpp>
#include <partita/driver/terminal.hpp>

#include <support/caught.hpp>

namespace partita::driver::terminal_tests {
namespace {

TEST(terminal, what_does_not_get_out_is_complained_of_at_the_end) {
  std::fflush(stdout);
  const int kept = ::dup(STDOUT_FILENO), full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(kept, 0);
  ASSERT_GE(full, 0);
  ::dup2(full, STDOUT_FILENO);
  say("lost");
  say("and more");
  const std::string complaint = testing::caught<Error>(require_said);
  ::dup2(kept, STDOUT_FILENO);
  std::clearerr(stdout);
  ::close(kept);
  ::close(full);
  EXPECT_TRUE(complaint.starts_with("standard output: it is closed or full")) << complaint;
  EXPECT_EQ(testing::caught<Error>(require_said), "nothing was thrown");
}

TEST(terminal, a_command_is_quoted_to_be_pasted) {
  EXPECT_EQ(quoted("train.steps=20"), "train.steps=20");
  EXPECT_EQ(quoted("model.hidden=[8, 16]"), "'model.hidden=[8, 16]'");
  EXPECT_EQ(quoted("--benchmark_filter=^add/|$HOME"), "'--benchmark_filter=^add/|$HOME'");
  EXPECT_EQ(quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(quoted(""), "''");
}

}  // namespace
}  // namespace partita::driver::terminal_tests
