// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/config/suggestion.hpp>

namespace partita::config::suggestion_tests {
namespace {

using namespace partita::config;

const std::vector<std::string> keys{"train.steps",        "train.batch", "train.seed",
                                    "parallel.allreduce", "data.path",   "output.path"};

TEST(suggestion, distance_counts_edits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("steps", "steps"), 0u);
  EXPECT_EQ(edit_distance("stepz", "steps"), 1u);   // replaced
  EXPECT_EQ(edit_distance("stps", "steps"), 1u);    // left out
  EXPECT_EQ(edit_distance("stepss", "steps"), 1u);  // typed twice
  EXPECT_EQ(edit_distance("setps", "steps"), 1u);   // neighbours swapped
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(suggestion, slips_of_the_finger_are_understood) {
  EXPECT_EQ(nearest("train.stepz", keys), "train.steps");
  EXPECT_EQ(nearest("train.bacth", keys), "train.batch");
  EXPECT_EQ(nearest("parallel.all_reduce", keys), "parallel.allreduce");
  EXPECT_EQ(nearest("trian.sede", keys), "train.seed");
}

TEST(suggestion, the_right_name_in_the_wrong_table_is_understood) {
  EXPECT_EQ(nearest("train.allreduce", keys), "parallel.allreduce");
  EXPECT_EQ(nearest("steps", keys), "train.steps");
  EXPECT_EQ(nearest("dataa.path", keys), "data.path") << "nearer than output.path";
}

TEST(suggestion, of_equals_the_first_is_taken) { EXPECT_EQ(nearest("bat", {"cat", "hat"}), "cat"); }

TEST(suggestion, nothing_is_made_up) {
  EXPECT_EQ(nearest("colour", keys), "");
  EXPECT_EQ(nearest("train.momentum", keys), "");
  EXPECT_EQ(did_you_mean("colour", keys), "");
  EXPECT_EQ(did_you_mean("x", {}), "");
  EXPECT_EQ(did_you_mean("train.step", keys), "; did you mean train.steps?");
}

}  // namespace
}  // namespace partita::config::suggestion_tests
