// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/actions.hpp>

#include <support/caught.hpp>

namespace partita::nn::actions_tests {
namespace {

using Kind = Action::Kind;
using ::partita::testing::caught;

Actions one_stage(std::initializer_list<std::pair<Kind, index_t>> list) {
  Actions actions;
  for (const auto& [kind, micro_batch] : list) actions.push_back({kind, 0, micro_batch});
  return actions;
}

TEST(actions, in_turn_takes_one_micro_batch_after_the_other) {
  EXPECT_EQ(in_turn(2), one_stage({{Kind::forward, 0}, {Kind::backward, 0}, {Kind::forward, 1}, {Kind::backward, 1}}));
  const Peak most = peak(in_turn(5), 0);
  EXPECT_EQ(most.slots, 1);
  EXPECT_EQ(most.pending, 0);
}

TEST(actions, stages_on_one_rank_go_back_in_the_other_order) {
  EXPECT_EQ(in_turn(1, 2),
            (Actions{{Kind::forward, 0, 0}, {Kind::forward, 1, 0}, {Kind::backward, 1, 0}, {Kind::backward, 0, 0}}));
}

TEST(actions, peak_counts_what_is_live) {
  // GPipe: all forward, then all backward; backward-weights behind by two.
  const Actions gpipe = one_stage({{Kind::forward, 0},
                                   {Kind::forward, 1},
                                   {Kind::forward, 2},
                                   {Kind::backward, 0},
                                   {Kind::backward, 1},
                                   {Kind::backward, 2}});
  EXPECT_EQ(peak(gpipe, 0).slots, 3);
  const Actions split = one_stage({{Kind::forward, 0},
                                   {Kind::backward_input, 0},
                                   {Kind::forward, 1},
                                   {Kind::backward_input, 1},
                                   {Kind::backward_weights, 0},
                                   {Kind::backward_weights, 1}});
  EXPECT_EQ(peak(split, 0).slots, 2);
  EXPECT_EQ(peak(split, 0).pending, 2);
  EXPECT_EQ(peak(forward_only(4), 0).slots, 1);
}

TEST(actions, lists_that_cannot_run_are_refused) {
  const auto refused = [](const Actions& actions) { return caught<UsageError>([&] { peak(actions, 0); }); };
  EXPECT_NE(refused(one_stage({{Kind::backward, 0}})).find("after forward"), std::string::npos);
  EXPECT_NE(refused(one_stage({{Kind::forward, 0}, {Kind::forward, 0}})).find("once"), std::string::npos);
  EXPECT_NE(refused(one_stage({{Kind::forward, 0}, {Kind::backward_weights, 0}})).find("after backward-input"),
            std::string::npos);
  EXPECT_NE(refused(one_stage({{Kind::forward, 0}, {Kind::forward, 1}, {Kind::backward, 0}})).find("missing"),
            std::string::npos);
  EXPECT_NE(refused(one_stage({{Kind::forward, 0}, {Kind::forward, 1}, {Kind::backward, 1}, {Kind::backward, 0}}))
                .find("ascending"),
            std::string::npos);
}

}  // namespace
}  // namespace partita::nn::actions_tests
