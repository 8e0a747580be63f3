// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/core/error.hpp>
#include <partita/kernels/reference.hpp>

#include "split_loss_parts.hpp"

// What the numbers of all slices make is the loss of whole rows.

namespace partita::kernels::test::split_loss_tests {
namespace {

template <class Scalar>
class split_loss : public ::testing::Test {};
TYPED_TEST_SUITE(split_loss, AllScalars);

TYPED_TEST(split_loss, one_slice_gives_the_bits_of_whole_rows) {
  using Scalar = TypeParam;
  for (index_t B : odd_sizes)
    for (index_t V : {1, 3, 10, 33, 300})
      for (index_t blocks : {index_t(1), std::min<index_t>(V, 5)})
        for (bool odd_labels : {false, true}) {
          SCOPED_TRACE(::testing::Message() << "B " << B << " V " << V << " blocks " << blocks);
          const Case<Scalar> c(B, V, odd_labels);
          expect_the_same(in_parts(Exec(), c, blocks, 1, 8), of_whole_rows(c, blocks, 8));
        }
}

/// More parts than blocks leave some without columns.
TYPED_TEST(split_loss, slices_of_blocks_give_the_bits_of_whole_rows) {
  using Scalar = TypeParam;
  for (index_t V : {2, 5, 7, 33, 259})
    for (index_t blocks : {index_t(2), std::min<index_t>(V, 5), std::min<index_t>(V, 24)})
      for (bool odd_labels : {false, true}) {
        const Case<Scalar> c(17, V, odd_labels);
        const auto expected = of_whole_rows(c, blocks, 8);
        for (index_t count : {2, 3, 4}) {
          SCOPED_TRACE(::testing::Message() << "V " << V << " blocks " << blocks << " parts " << count);
          expect_the_same(in_parts(Exec(), c, blocks, count, 8, placements[count - 2]), expected);
        }
        if (V != 259) continue;
        for (const Exec& exec : instances()) expect_the_same(in_parts(exec, c, blocks, 3, 8), expected);
      }
}

/// NaN and infinities in some slices, equal scores in several.
TYPED_TEST(split_loss, odd_scores_mean_what_they_do_in_whole_rows) {
  using Scalar = TypeParam;
  const index_t V = 12;
  const Scalar infinity = std::numeric_limits<Scalar>::infinity();
  Case<Scalar> c(14, V, false);
  const auto at = [&](index_t b, index_t v) -> Scalar& { return c.logits[b * V + v]; };
  at(0, 3) = Scalar(NAN);
  at(1, c.label[1]) = Scalar(NAN);
  at(2, 11) = infinity;
  at(3, 0) = Scalar(-infinity);
  for (index_t v = 0; v < V; ++v) {
    at(4, v) = Scalar(-infinity);
    at(5, v) = Scalar(NAN);
    at(6, v) = Scalar(2);
    at(7, v) = at(8, v) = Scalar(v % 5 == 2 ? 9 : -9);  // the largest at 2, 7
    at(10, v) = Scalar(v < 8 ? -huge : huge);
    at(11, v) = Scalar(v < 8 ? huge : -huge);
  }
  c.label[6] = 0;
  c.label[7] = 7;
  c.label[8] = 2;
  c.label[10] = 1;
  c.label[11] = 1;
  at(12, 5) = Scalar(NAN);
  c.label[12] = none;
  // Row by row, so that the rest of the sum is seen beside the NaN.
  for (index_t b = 0; b < c.B; ++b) {
    Case<Scalar> row(1, V, false);
    row.logits.assign(c.logits.begin() + b * V, c.logits.begin() + (b + 1) * V);
    row.label = {c.label[b]};
    for (index_t count : {1, 3, 4}) {
      SCOPED_TRACE(::testing::Message() << "row " << b << " parts " << count);
      expect_the_same(in_parts(Exec(), row, 12, count, 1), of_whole_rows(row, 12, 1));
    }
  }
  EXPECT_EQ(in_parts(Exec(), c, 12, 3, 1).correct, of_whole_rows(c, 12, 1).correct);
}

TYPED_TEST(split_loss, parts_match_the_plain_loops) {
  using Scalar = TypeParam;
  const Case<Scalar> c(9, 33, true);
  const Slice classes{10, 13, 33};
  const Exec exec;
  Part<Scalar> part(exec, c, classes, whole(1), {3, 5});
  const std::vector<Scalar> z = part.columns(c);
  loss_max<Scalar>(exec, classes, part.z.matrix(), part.label, part.top, part.target);
  exec.fence();
  const auto top = to_host(part.top), target = to_host(part.target);
  part.top = to_device(std::vector<double>(9, 12.0));  // another slice has larger ones
  loss_sums<Scalar>(exec, part.nodes, part.z.matrix(), part.label, part.top, part.sums, part.dz.matrix());
  const Vector<double> sum = to_device(std::vector<double>(9, 0.25));
  const Kokkos::View<double, Memory> loss("loss");
  loss_finish<Scalar>(part.context, classes, part.z.matrix(), part.label, part.top, part.target, sum, scale,
                      part.dz.matrix(), loss);
  exec.fence();
  const auto sums = to_host(part.sums);
  const auto gradient = part.dz.values();
  // exp of a shift: the rounding of both in the type they are computed in, relative to scores of at most 40 apart.
  const double error = 64 * roundoff<Scalar>;
  for (index_t b = 0; b < 9; ++b) {
    if (c.label[b] == none) continue;
    const Scalar* const row = &z[b * 13];
    const index_t here = c.label[b] - 10;
    EXPECT_EQ(top[b], reference::loss_max_row(row, 13));
    EXPECT_EQ(target[b], here >= 0 && here < 13 ? double(row[here]) : 0.0);
    const double expected = reference::loss_sum_row(row, 13, 12.0);
    EXPECT_NEAR(sums[b], expected, error * expected);
    if (c.label[b] < 0 || c.label[b] >= 33) continue;
    const auto d = reference::loss_finish_row(row, 13, here, 12.0, 0.25);
    for (index_t v = 0; v < 13; ++v)
      EXPECT_NEAR(double(gradient[b * 13 + v]), scale * d[v],
                  scale * (error + unit_roundoff<Scalar>)*(std::abs(d[v]) + unit_roundoff<Scalar>));
  }
}

TYPED_TEST(split_loss, gradient_may_overwrite_the_logits) {
  using Scalar = TypeParam;
  const Case<Scalar> c(17, 33, true);
  for (index_t blocks : {1, 5}) {
    const auto apart = in_parts(Exec(), c, blocks, 3, 1), in_place = in_parts(Exec(), c, blocks, 3, 1, {1, 2}, true);
    EXPECT_TRUE(same_bits(in_place.gradient, apart.gradient));
    EXPECT_TRUE(same_bits<double>({in_place.sum}, {apart.sum}));
  }
}

/// The leaves of a node are cut again as a sum of their own: the same columns as in the whole.
TEST(split_loss_nodes, leaves_are_those_of_the_whole) {
  for (index_t V = 1; V <= 40; ++V)
    for (index_t blocks = 2; blocks <= V; ++blocks)
      for (index_t count = 1; count <= 5; ++count)
        for (const auto& [classes, leaves] : shares(V, blocks, count)) {
          index_t leaf = leaves.offset, end = 0;
          for (const LossNode& node : loss_nodes(classes, leaves)) {
            EXPECT_EQ(node.columns.offset, end);
            end = node.columns.end();
            for (index_t l = 0; l < node.leaves; ++l, ++leaf) {
              const Slice here = partition(node.columns.extent, node.leaves, l), there = partition(V, blocks, leaf);
              ASSERT_EQ(classes.offset + node.columns.offset + here.offset, there.offset);
              ASSERT_EQ(here.extent, there.extent);
            }
          }
          EXPECT_EQ(end, classes.extent);
          EXPECT_EQ(leaf, leaves.end());
        }
}

TEST(split_loss_nodes, errors_name_the_classes) {
  EXPECT_EQ(loss_nodes({3, 4, 9}, whole(1)), (std::vector<LossNode>{{{0, 4}, 1}}));
  EXPECT_EQ(caught<ShapeError>([] {
              loss_nodes({0, 4, 9}, {0, 2, 3});
            }),
            "loss_nodes: classes 0 to 4 of 9: expected 0 to 6, blocks 0 to 2 of 3");
}

TEST(split_loss_shapes, errors_name_operand_and_extents) {
  const Exec exec;
  Context context;
  const Matrix<float> z("z", 4, 3);
  const Vector<std::int32_t> label("label", 4);
  const Vector<double> n("n", 4), longer("longer", 5);
  const Kokkos::View<double, Memory> sum("sum");
  const std::vector<LossNode> gap = {{{0, 1}, 1}, {{2, 1}, 1}}, all = {{{0, 3}, 1}};
  EXPECT_EQ(caught<ShapeError>([&] {
              loss_max<float>(exec, {2, 4, 9}, z, label, n, n);
            }),
            "loss_max: logits has 3 columns, the slice of the vocabulary has 4 classes: expected one column for each "
            "class of the slice");
  EXPECT_EQ(caught<ShapeError>([&] {
              loss_max<float>(exec, {2, 3, 9}, z, label, n, longer);
            }),
            "loss_max: target has 5 elements, label has 4 elements: expected target (n) and label (n) with the same n");
  EXPECT_EQ(caught<ShapeError>([&] { loss_sums<float>(exec, all, z, label, n, Matrix<double>("s", 2, 4)); }),
            "loss_sums: sums has 2 rows, the slice has 1 nodes: expected sums (nodes, B)");
  EXPECT_EQ(caught<ShapeError>([&] { loss_sums<float>(exec, gap, z, label, n, Matrix<double>("s", 2, 4)); }),
            "loss_sums: a node of 1 leaves from column 2: expected at least 1, from 1: nodes are adjacent");
  EXPECT_EQ(caught<ShapeError>([&] {
              loss_finish<float>(context, {2, 3, 9}, z, label, n, n, n, 1, Matrix<float>("dz", 4, 2), sum);
            }),
            "loss_finish: dlogits is (4, 2), logits is (4, 3): expected the same shape (B, columns)");
}

}  // namespace
}  // namespace partita::kernels::test::split_loss_tests
