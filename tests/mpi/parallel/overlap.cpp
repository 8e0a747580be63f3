// SPDX-License-Identifier: BSD-3-Clause
// In how many parts a product is computed is chosen by time, the same on all ranks, and what was chosen is what runs.
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "tensor_problem.hpp"

namespace partita::parallel::test::overlap_tests {
namespace {

using partita::test::world;

constexpr double never = std::numeric_limits<double>::infinity();

OverlapTiming best_in(index_t chunks) {
  OverlapTiming timing;
  for (std::size_t c = 0; c < chunk_candidates.size(); ++c) timing.seconds[c] = chunk_candidates[c] == chunks ? 1 : 2;
  return timing;
}

TEST(overlap, the_fewest_parts_of_those_that_are_as_fast) {
  EXPECT_EQ((OverlapTiming{{4, 3, 2, 1}}.chosen()), 8);
  EXPECT_EQ((OverlapTiming{{4, 3, 1.02, 1}}.chosen()), 4);
  EXPECT_EQ((OverlapTiming{{4, 1.04, 1, 1}}.chosen()), 4);
  EXPECT_EQ((OverlapTiming{{1, 1, 1, 1}}.chosen()), 1);
  EXPECT_EQ((OverlapTiming{{1, 0.9, never, never}}.chosen()), 2);
  EXPECT_EQ(to_text({{{33, 20, 45}, {{0.5, 0.25, never, never}}}}), "rows 33 N 20 K 45 1_s 0.5 2_s 0.25 chunks 2\n");
}

// Each rank would choose for itself what it alone found; what counts are the sums.
TEST(overlap, ranks_choose_by_the_sums_of_their_times) {
  const auto P = static_cast<double>(world().size()), r = static_cast<double>(world().rank());
  const bool last = world().rank() + 1 == world().size();
  OverlapChoices choices(0);
  EXPECT_FALSE(choices.must_measure({12, 3, 5}));
  choices.measure();
  EXPECT_TRUE(choices.must_measure({12, 3, 5}));
  choices.know({12, 3, 5}, {{1 + 2 * r, last ? 1.0 : 2.0, 2, 3}});  // over all ranks P^2, 2 P - 1, 2 P, 3 P
  if (last) choices.know({11, 3, 5}, best_in(4));                   // of another replica's rows
  EXPECT_FALSE(choices.must_measure({12, 3, 5}));
  EXPECT_EQ(choices.chunks({12, 3, 5}), 1);  // until all agree
  choices.agree(world());
  ASSERT_EQ(choices.timings().size(), 2u);
  EXPECT_EQ(choices.timings().at({12, 3, 5}).seconds, (std::array<double, 4>{P * P, 2 * P - 1, 2 * P, 3 * P}));
  EXPECT_EQ(choices.chunks({12, 3, 5}), world().size() == 1 ? 1 : 2);
  EXPECT_EQ(choices.chunks({11, 3, 5}), 4);
  EXPECT_EQ(choices.chunks({10, 3, 5}), 1);  // never met
  EXPECT_FALSE(choices.must_measure({10, 3, 5}));
}

TEST(overlap, what_is_said_is_not_measured) {
  OverlapChoices choices(3);
  choices.measure();
  EXPECT_FALSE(choices.must_measure({12, 3, 5}));
  choices.agree(world());
  EXPECT_EQ(choices.chunks({12, 3, 5}), 3);
  EXPECT_EQ(choices.most(), 3);
}

// The two products that end the branches of a block, as the whole model has them.
const ProductShape proj{decoder.batch * decoder.gpt.T, decoder.gpt.C, decoder.gpt.C};
const ProductShape down{decoder.batch * decoder.gpt.T, decoder.gpt.C, decoder.gpt.F};

Split<float> by_time(const comm::Communicator& alone) { return {decoder, alone, world(), {{.overlap_chunks = 0}}, 0}; }

TEST(overlap, of_a_split_model_is_measured_once_for_each_shape_and_changes_no_result) {
  const comm::Communicator alone = world().split(world().rank(), 0, "alone");
  Split<float> split = by_time(alone), plain(decoder, alone, world(), {}, 0);
  split.axis.overlap().measure();
  for (index_t s = 0; s < 3; ++s) {
    const double norm = split.run(s), expected = plain.run(s);
    if (s == 0) split.axis.overlap().agree(world());
    EXPECT_ALL(world(), std::abs(norm - expected) <= 1e-5 * expected) << "step " << s;
    EXPECT_ALL(world(), std::abs(tree_sum(split.terms) - tree_sum(plain.terms)) <= 1e-5 * tree_sum(plain.terms));
  }
  const OverlapTable& table = split.axis.overlap().timings();
  EXPECT_EQ(table.empty(), world().size() == 1);  // nothing is added up
  if (table.empty()) return;
  ASSERT_ALL(world(), table.size() == 2 && table.contains(proj) && table.contains(down));
  for (const ProductShape& product : {proj, down})
    for (const double s : table.at(product).seconds) EXPECT_TRUE(s > 0 && std::isfinite(s)) << s;
  EXPECT_TRUE(partita::test::same_on_all_ranks(world(), std::span<const char>(to_text(table))));
}

TEST(overlap, fewer_rows_than_parts_are_tried_in_fewer) {
  if (world().size() == 1) GTEST_SKIP() << "nothing is added up";
  Shape small = decoder;
  small.batch = 1;
  small.gpt.T = 3;
  const comm::Communicator alone = world().split(world().rank(), 0, "alone");
  Split<float> split(small, alone, world(), {{.overlap_chunks = 0}}, 0);
  split.axis.overlap().measure();
  split.run(0);
  for (const auto& [product, timing] : split.axis.overlap().timings()) {
    EXPECT_EQ(product.rows, 3);
    EXPECT_TRUE(std::isfinite(timing.seconds[1]));
    EXPECT_EQ(timing.seconds[2], never);
  }
}

// Calls of the all-reduce in a step: four parts of one product and two of the other are four more in each block.
TEST(overlap, what_was_chosen_is_what_runs) {
  if (world().size() == 1) GTEST_SKIP() << "nothing is added up";
  const comm::Communicator alone = world().split(world().rank(), 0, "alone");
  Split<float> split = by_time(alone);
  const auto calls = [&](index_t s) {
    const auto so_far = [] {
      const comm::TrafficEntry* entry = world().traffic_entry("allreduce", "mpi");
      return entry == nullptr ? index_t{0} : entry->calls;
    };
    const index_t before = so_far();
    split.run(s);
    return so_far() - before;
  };
  const index_t at_once = calls(0);
  split.axis.overlap().know(proj, best_in(4));
  split.axis.overlap().know(down, best_in(2));
  EXPECT_EQ(calls(1), at_once + decoder.gpt.blocks * (3 + 1));
}

}  // namespace
}  // namespace partita::parallel::test::overlap_tests
