// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/core/error.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "vocabulary_scores.hpp"

// The loss of scores whose classes are shared out against the loss of whole rows, which every rank can make by itself.

namespace partita::parallel::test::vocabulary_loss_tests {
namespace {

using comm::Allreduce;
using partita::test::world;
using partita::testing::caught;

constexpr Allreduce ways[] = {Allreduce::mpi, Allreduce::ring, Allreduce::automatic};

template <class Scalar>
class vocabulary_loss : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(vocabulary_loss, Scalars);

TYPED_TEST(vocabulary_loss, deterministic_mode_gives_the_bits_of_whole_rows) {
  using Scalar = TypeParam;
  for (const Allreduce how : ways)
    for (const index_t V : {259, 7, 5, 2})
      for (const auto& [B, labels] : {std::pair(131, 1), {5, 7}, {1, 1}, {0, 3}})
        for (const bool odd_labels : {false, true}) {
          const auto scores = Scores<Scalar>::random(B, labels, V, odd_labels);
          const index_t blocks = std::min<index_t>(V, 24);
          const Slice mine = share(V, blocks, world());
          const auto head = head_of(world(), how, scores, blocks);
          const auto expected = of_whole_rows(scores, blocks, mine);
          for (const bool in_place : {false, true})
            EXPECT_ALL(world(), result(head, scores, mine, in_place) == expected)
                << comm::to_string(how) << " V " << V << " labels " << B << " x " << labels << " odd " << odd_labels;
        }
}

/// Sums of exponentials have at most V u more or less (u roundoff of double) in another order, so losses a few u of
/// their size and 2 V u more or less; a gradient's share of the sum may then round to the next number, and its product
/// with that again.
TYPED_TEST(vocabulary_loss, fast_mode_is_whole_rows_up_to_the_order_of_sums) {
  using Scalar = TypeParam;
  constexpr double u = std::numeric_limits<double>::epsilon() / 2;
  for (const Allreduce how : ways)
    for (const index_t V : {259, 7, 3, 1}) {
      const auto scores = Scores<Scalar>::random(33, 4, V, false);
      const index_t first = world().rank() == 0 ? 0 : 1;  // as even as can be; and one class, none, ..., the rest
      const index_t end = world().rank() + 1 == world().size() ? V : 1;
      for (const Slice& mine : {share(V, 1, world()), Slice{first, end - first, V}}) {
        const auto expected = of_whole_rows(scores, 1, mine);
        const auto got = result(head_of(world(), how, scores, 1, mine), scores, mine);
        const double bound = static_cast<double>(scores.n()) * (2 * static_cast<double>(V) * u) +
                             static_cast<double>(scores.n()) * 4 * u * (1 + expected.sum);
        EXPECT_NEAR(got.sum, expected.sum, bound);
        EXPECT_EQ(got.sum, got.evaluated);
        EXPECT_EQ(got.correct, expected.correct);
        const double step = 2 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
        const double least = static_cast<double>(std::numeric_limits<Scalar>::denorm_min());
        index_t wrong = 0;
        for (std::size_t i = 0; i < got.gradient.size(); ++i) {
          const auto is = static_cast<double>(got.gradient[i]), wanted = static_cast<double>(expected.gradient[i]);
          const double allowed = step * std::abs(wanted) + 4 * static_cast<double>(V) * u * scale * factor + least;
          wrong += !(std::abs(is - wanted) <= allowed);
        }
        EXPECT_ALL(world(), wrong == 0) << comm::to_string(how) << " V " << V << ": " << wrong << " gradients";
      }
    }
}

/// Equal scores: log V a label, and a gradient of 1/V, less 1 at the target.
TYPED_TEST(vocabulary_loss, equal_scores_cost_the_logarithm_of_the_classes) {
  using Scalar = TypeParam;
  for (const index_t blocks : {1, 5}) {
    Scores<Scalar> scores{5, 1, 259, std::vector<Scalar>(5 * 259, static_cast<Scalar>(-7.0F)), {0, 1, 100, 200, 258}};
    const Slice mine = share(259, blocks, world());
    const auto got = result(head_of(world(), Allreduce::ring, scores, blocks), scores, mine);
    EXPECT_NEAR(got.sum, 5 * std::log(259.0), 1e-12);
    EXPECT_EQ(got.correct, 1);  // the first of equals is class 0
    const auto error = static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * scale * factor;
    index_t wrong = 0;
    for (index_t i = 0; i < 5; ++i)
      for (index_t v = 0; v < mine.extent; ++v) {
        const bool target = scores.label[static_cast<std::size_t>(i)] == mine.offset + v;
        const double wanted = scale * factor * (1.0 / 259 - (target ? 1 : 0));
        const auto is = static_cast<double>(got.gradient[static_cast<std::size_t>(i * mine.extent + v)]);
        wrong += !(std::abs(is - wanted) <= error);
      }
    EXPECT_ALL(world(), wrong == 0);
  }
}

/// One class at 1e4, all others at -1e4: nothing for the label that it is, 2e4 for another. exp of either overflows or
/// vanishes on every rank that shifts by something else than the largest of all.
TYPED_TEST(vocabulary_loss, scores_far_apart_are_shifted_by_the_largest_of_all_ranks) {
  using Scalar = TypeParam;
  const auto high = static_cast<Scalar>(1e4F), low = static_cast<Scalar>(-1e4F);
  for (const index_t blocks : {1, 24})
    for (const index_t top : {0, 100, 258}) {
      Scores<Scalar> scores{2, 1, 259, std::vector<Scalar>(2 * 259, low), {0, 0}};
      for (index_t i = 0; i < 2; ++i) scores.at(i, top) = high;
      scores.label = {static_cast<std::int32_t>(top), 7};
      const auto got = result(head_of(world(), Allreduce::mpi, scores, blocks), scores, share(259, blocks, world()));
      EXPECT_EQ(got.sum, static_cast<double>(high) - static_cast<double>(low));
      EXPECT_EQ(got.evaluated, got.sum);
      EXPECT_EQ(got.correct, 1);
      index_t wrong = 0;
      for (const Scalar d : got.gradient) wrong += !std::isfinite(static_cast<double>(d));
      EXPECT_ALL(world(), wrong == 0);
    }
}

/// The largest scores are on the first and the last rank, and some on the last twice.
TYPED_TEST(vocabulary_loss, the_first_of_equals_over_all_ranks_is_the_hit) {
  using Scalar = TypeParam;
  const index_t V = 259;
  auto scores = Scores<Scalar>::random(6, 1, V, false);
  const auto top = static_cast<Scalar>(90.0F);
  for (index_t i = 0; i < 6; ++i) scores.at(i, V - 1) = top;
  scores.at(0, 1) = scores.at(1, 1) = top;
  scores.at(2, V - 2) = scores.at(3, V - 2) = top;
  scores.label = {1,
                  static_cast<std::int32_t>(V - 1),
                  static_cast<std::int32_t>(V - 2),
                  static_cast<std::int32_t>(V - 1),
                  static_cast<std::int32_t>(V - 1),
                  kernels::ignore_index};
  for (const index_t blocks : {1, 24}) {
    const auto head = head_of(world(), Allreduce::ring, scores, blocks);
    EXPECT_EQ(result(head, scores, share(V, blocks, world())).correct, 3);  // rows 0, 2 and 4
  }
}

/// A label outside of all classes: NaN on every rank, and in the gradient of its row alone.
TEST(vocabulary_loss_labels, outside_of_the_classes_are_nan_on_every_rank) {
  auto scores = Scores<float>::random(3, 1, 259, false);
  for (const std::int32_t bad : {-2, 259}) {
    scores.label = {3, bad, kernels::ignore_index};
    const Slice mine = share(259, 1, world());
    const auto got = result(head_of(world(), Allreduce::ring, scores, 1), scores, mine);
    EXPECT_ALL(world(), std::isnan(got.sum) && std::isnan(got.evaluated));
    index_t wrong = 0;
    for (index_t v = 0; v < mine.extent; ++v) {
      const auto row = [&](index_t i) { return got.gradient[static_cast<std::size_t>(i * mine.extent + v)]; };
      wrong += !std::isfinite(row(0)) || !std::isnan(row(1)) || std::abs(row(2)) > 0;
    }
    EXPECT_ALL(world(), wrong == 0);
  }
}

/// What `calls` calls must have counted under a name.
void expect_counted(comm::Traffic& traffic, const char* operation, const char* algorithm, index_t calls, index_t bytes,
                    index_t messages) {
  const comm::TrafficEntry& entry = traffic.entry(operation, algorithm, "tensor");
  EXPECT_EQ(entry.calls, calls) << operation;
  EXPECT_EQ(entry.sent_bytes, calls * bytes) << operation;
  EXPECT_EQ(entry.messages, calls * messages) << operation;
  EXPECT_EQ(entry.expected_bytes, static_cast<double>(entry.sent_bytes)) << operation;
}

/// One training and one evaluating call: three all-reduces of a number of 8 bytes a label, and four.
TEST(vocabulary_loss_traffic, is_three_numbers_a_label) {
  const index_t t = world().size(), me = world().rank(), n = 131, V = 259, C = 24;
  const auto scores = Scores<float>::random(n, 1, V, false);
  for (const bool gpu_aware : {true, false})
    for (const index_t blocks : {index_t{1}, C})
      for (const bool ring : {true, false}) {
        comm::Traffic traffic;
        const auto axis = comm::Communicator::borrow(world().handle(), "tensor", &traffic, gpu_aware);
        const auto head = head_of(axis, ring ? Allreduce::ring : Allreduce::mpi, scores, blocks);
        const auto got = result(head, scores, share(V, blocks, axis));
        EXPECT_EQ(got.correct, of_whole_rows(scores, blocks, {}).correct);
        if (t == 1) {
          EXPECT_TRUE(traffic.entries().empty());
          continue;
        }
        const index_t flat = blocks == 1 ? 3 + 4 : 2 + 3;
        const comm::closed_forms::Messages one_each{};
        const char* const how = ring ? "ring" : "mpi";
        namespace forms = comm::closed_forms;
        expect_counted(traffic, "allreduce", how, flat, ring ? forms::ring_allreduce_bytes(n, t, me, 8) : 8 * n,
                       ring ? forms::ring_allreduce(n, t, me, one_each) : 1);
        const index_t all = world().allreduce(traffic.entry("allreduce", how, "tensor").sent_bytes, comm::Op::sum);
        EXPECT_EQ(all, ring ? flat * 2 * (t - 1) * 8 * n : flat * t * 8 * n);
        if (blocks == 1) {
          EXPECT_EQ(traffic.entries().size(), 1u);
          continue;
        }
        const comm::Segments even(n, static_cast<int>(t));
        expect_counted(
            traffic, "tree_allreduce", how, 2,
            ring ? forms::tree_allreduce_ring_bytes(n, C, t, me, 8) : forms::tree_allreduce_mpi_bytes(n, C, t, me, 8),
            ring ? forms::tree_reduce_scatter_ring(even, C, me, one_each) + forms::ring_all_gather(even, me, one_each)
                 : 2);
        EXPECT_EQ(traffic.entries().size(), 2u);
      }
}

/// Pieces of a batch differ in their rows, and come again.
TEST(vocabulary_loss_plans, are_kept_for_each_number_of_labels) {
  for (const index_t blocks : {1, 24}) {
    const Scores<float> shape{0, 1, 259};
    const Slice mine = share(259, blocks, world());
    const auto head = head_of(world(), Allreduce::ring, shape, blocks);
    for (const index_t n : {5, 33, 5, 1, 33}) {
      const auto scores = Scores<float>::random(n, 1, 259, false);
      const auto expected = of_whole_rows(scores, blocks, mine);
      EXPECT_NEAR(result(head, scores, mine).sum, expected.sum, 1e-10);
    }
  }
}

TEST(vocabulary_loss_refusals, name_what_does_not_fit) {
  using Head = VocabularyParallelLoss<float>;
  const auto make = [](kernels::Loss loss, const Slice& of, index_t blocks) {
    return caught<Error>([&] { Head(world(), Allreduce::mpi, loss, {1, 10}, of, blocks); });
  };
  EXPECT_EQ(caught<UsageError>([&] {
              Head(world(), Allreduce::mpi, kernels::Loss::mse, {1, 10}, whole(10));
            }),
            "VocabularyParallelLoss: the loss is mse: expected cross_entropy, where ranks share the classes");
  EXPECT_EQ(make(kernels::Loss::cross_entropy, {0, 3, 9}, 1),
            "VocabularyParallelLoss: classes 0 to 3 of 9, in 1 blocks: expected some of 10, in at least 1");
  EXPECT_EQ(make(kernels::Loss::cross_entropy, {8, 3, 10}, 2),
            "VocabularyParallelLoss: classes 8 to 11 of 10, in 2 blocks: expected some of 10, in at least 1");
  const std::string cut = make(kernels::Loss::cross_entropy, {1, 3, 10}, 5);
  EXPECT_TRUE(cut.starts_with("loss_nodes: classes 1 to 4 of 10: expected ")) << cut;
  const Head head(world(), Allreduce::mpi, kernels::Loss::cross_entropy, {2, 10}, {0, 3, 10});
  kernels::Context context;
  const Kokkos::View<double, Memory> sum("sum");
  const Kokkos::View<index_t, Memory> correct("correct");
  EXPECT_EQ(caught<ShapeError>([&] {
              head.evaluate(context, Matrix<float>("y", 4, 20), Vector<std::int32_t>("label", 8), sum, correct);
            }),
            "VocabularyParallelLoss: y is (4, 20), label has 8 elements: expected 2 for each row, and 3 classes for "
            "each of them");
}

}  // namespace
}  // namespace partita::parallel::test::vocabulary_loss_tests
