// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <partita/training/verification.hpp>

namespace partita::training::verification_tests {
namespace {

using Losses = std::vector<double>;

// `steps` losses from the first to `late`, which the last tenth has but for one outlier.
Losses falling(double first, double late, std::size_t steps) {
  Losses losses(steps, 0.5 * (first + late));
  losses.front() = first;
  const std::size_t tenth = std::max<std::size_t>(steps / 10, 1);
  std::fill(losses.end() - static_cast<std::ptrdiff_t>(tenth), losses.end(), late);
  if (tenth > 2) losses.back() = 1e3;
  return losses;
}

driver::Verification verdict(const Losses& losses, index_t classes = 10, const TrainOptions& train = TrainOptions()) {
  return judge(train, classes, {}, losses);
}

TEST(verification, chance_is_the_loss_of_equal_scores) {
  EXPECT_DOUBLE_EQ(chance_loss(kernels::Loss::cross_entropy, 64), std::log(64));
  EXPECT_DOUBLE_EQ(chance_loss(kernels::Loss::mse, 4), (0.75 * 0.75 + 3 * 0.25 * 0.25) / 4);
}

TEST(verification, the_median_of_the_last_tenth_stands_against_the_first_step) {
  const driver::Verification passed = verdict(falling(2.5, 0.5, 100));
  EXPECT_TRUE(passed.passed) << passed.text;
  EXPECT_EQ(passed.text, "replicas agree, loss 2.5 -> 0.5 (chance 2.303)");
  const driver::Verification failed = verdict(falling(0.4, 0.5, 100));
  EXPECT_FALSE(failed.passed);
  EXPECT_NE(failed.text.find("no progress"), std::string::npos) << failed.text;
}

TEST(verification, losses_that_exploded_first_and_fell_later_are_no_progress) {
  Losses losses(20, 1e30);  // a mean of the first steps would be larger than that of the last
  losses.front() = 1.6;
  for (std::size_t s = 1; s < losses.size(); ++s) losses[s] /= static_cast<double>(s);
  EXPECT_FALSE(verdict(losses, 5).passed);
  EXPECT_NE(verdict(losses, 5).text.find("diverged"), std::string::npos);
}

TEST(verification, worse_than_chance_is_no_success_however_bad_the_first_step_was) {
  EXPECT_FALSE(verdict(falling(9, 2.4, 20)).passed);
  EXPECT_TRUE(verdict(falling(9, 2.4, 20), 64).passed);
}

TEST(verification, a_handful_of_steps_fails_only_when_it_blows_up) {
  EXPECT_TRUE(verdict({2.3, 2.4, 2.5}).passed);
  EXPECT_FALSE(verdict({2.3, 1e4, 1e5}).passed);
  EXPECT_FALSE(verdict({2.3, std::numeric_limits<double>::quiet_NaN(), 2.2}).passed);
  EXPECT_FALSE(verdict({}).passed);
}

TEST(verification, inference_needs_finite_losses_alone) {
  TrainOptions infer;
  infer.mode = Mode::infer;
  EXPECT_TRUE(verdict(falling(0.4, 5, 100), 10, infer).passed);
}

// Held-out bits of a byte against a compressor's: a loss of ln 2 is one bit.
class verification_of_text : public ::testing::Test {
 protected:
  driver::Verification of_bits(double bits) const {
    metrics::RunResults results;
    results.evaluation.push_back({.step = 30, .loss = bits * std::log(2.0), .accuracy = 0.5, .samples = 1});
    return judge(train, 256, results, falling(5.5, 1.5, 30), Compression{1000, 999, 2.5, 2.1});
  }
  TrainOptions train;
};

TEST_F(verification_of_text, says_the_bits_and_holds_nothing_against_them_unasked) {
  train.epochs = 1;
  const driver::Verification verdict = of_bits(3);
  EXPECT_TRUE(verdict.passed);
  EXPECT_NE(verdict.text.find(", held-out 3.000 bits per byte (gzip -9 2.500, xz -9 2.100)"), std::string::npos)
      << verdict.text;
}

TEST_F(verification_of_text, a_whole_run_needs_fewer_bits_than_the_compressor_that_it_shall_beat) {
  train.epochs = 1;
  train.beats = Rival::gzip;
  EXPECT_TRUE(of_bits(2.49).passed);
  EXPECT_FALSE(of_bits(2.51).passed);
  EXPECT_NE(of_bits(2.51).text.find("verify.beats"), std::string::npos);
  train.beats = Rival::xz;
  EXPECT_FALSE(of_bits(2.49).passed);
  EXPECT_TRUE(of_bits(2.09).passed);
}

TEST_F(verification_of_text, a_run_that_was_cut_short_need_not) {
  train.epochs = 1;
  train.steps = 30;
  train.beats = Rival::xz;
  EXPECT_TRUE(of_bits(3).passed);
}

TEST_F(verification_of_text, summary_has_bits_with_what_is_behind_them) {
  const Compression compression{1000, 999, 2.5, 2.1};
  const auto rows = summarise(compression, {{.step = 1, .loss = 3}, {.step = 2, .loss = std::log(8.0)}});
  ASSERT_EQ(std::ssize(rows), 3);
  EXPECT_EQ(rows[0].metric, "heldout_bits_per_byte");
  EXPECT_DOUBLE_EQ(rows[0].value, 3);
  EXPECT_EQ(rows[0].n, 999);
  EXPECT_EQ(rows[1].metric, "gzip_bits_per_byte");
  EXPECT_EQ(rows[1].value, 2.5);
  EXPECT_EQ(rows[2].metric, "xz_bits_per_byte");
  EXPECT_EQ(rows[2].value, 2.1);
  EXPECT_EQ(rows[2].n, 1000);
  EXPECT_EQ(std::ssize(summarise(compression, {})), 2);
}

TEST(verification, what_was_counted_must_be_the_closed_form) {
  const auto verdict_on = [](metrics::TrafficRow row) {
    metrics::RunResults results;
    row.kind = "allreduce";
    row.algorithm = "ring";
    results.traffic = {row};
    return judge(TrainOptions(), 10, results, falling(2.5, 0.5, 100));
  };
  const metrics::TrafficRow right{
      .messages = {4, 2}, .sent_bytes = {64, 32}, .expected_messages = {4, 2}, .expected_bytes = {64, 32}};
  EXPECT_TRUE(verdict_on(right).passed);
  metrics::TrafficRow wrong = right;
  wrong.messages[1] = 3;
  EXPECT_EQ(verdict_on(wrong).text, "allreduce ring: messages or bytes are not those of the closed form");
  wrong.expected_messages[1] = std::numeric_limits<double>::quiet_NaN();  // nobody knows
  EXPECT_TRUE(verdict_on(wrong).passed);
  wrong = right;
  wrong.sent_bytes[0] = 60;
  EXPECT_FALSE(verdict_on(wrong).passed);
}

}  // namespace
}  // namespace partita::training::verification_tests
