// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>

namespace {

using namespace partita;

// Two exceptions are alike when class, code and message are.
template <class Thrown>
void expect_travels(ExitCode code) {
  const Thrown original("what happened");
  EXPECT_EQ(original.code(), code);
  try {
    rethrow_as(original.code(), original.what());
  } catch (const Error& error) {
    EXPECT_EQ(typeid(error), typeid(Thrown));
    EXPECT_EQ(error.code(), code);
    EXPECT_STREQ(error.what(), "what happened");
  }
}

TEST(error, class_code_and_message_survive_the_way_to_another_rank) {
  expect_travels<Error>(ExitCode::run_failed);
  expect_travels<UsageError>(ExitCode::usage);
  expect_travels<CheckError>(ExitCode::check_failed);
  expect_travels<EnvironmentError>(ExitCode::unfit);
  expect_travels<IncompleteError>(ExitCode::incomplete);
}

TEST(error, shape_errors_are_failures_of_the_run) {
  EXPECT_EQ(ShapeError("x").code(), ExitCode::run_failed);
  EXPECT_THROW(rethrow_as(ShapeError("x").code(), "x"), Error);
}

TEST(error, success_is_never_thrown) {
  try {
    rethrow_as(ExitCode::done, "odd");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::run_failed);
  }
}

TEST(error, codes_are_the_documented_numbers) {  // DESIGN.md, section 8
  EXPECT_EQ(static_cast<int>(ExitCode::done), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::run_failed), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::usage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::check_failed), 3);
  EXPECT_EQ(static_cast<int>(ExitCode::unfit), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::incomplete), 5);
}

}  // namespace
