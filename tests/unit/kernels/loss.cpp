// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/core/error.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::loss_tests {
namespace {

constexpr Loss losses[] = {Loss::cross_entropy, Loss::mse};

/// exp of a shifted score is off by the rounding of the shift and of exp itself, relative to a value of at most 1.
constexpr double row_error = 16;  // units of roundoff per unit of magnitude

template <class Scalar>
struct Case {
  index_t B, V;
  std::vector<Scalar> logits;
  std::vector<std::int32_t> label;

  Case(index_t rows, index_t classes) : B(rows), V(classes), logits(random_values<Scalar>(5, rows * classes)) {
    for (index_t i = 0; i < B; ++i)
      label.push_back(std::int32_t(random_bits(6, Stream::test, std::uint64_t(i)) % std::uint64_t(V)));
    for (Scalar& z : logits) z = Scalar(accumulate_t<Scalar>(z) * 3);
  }
};

template <class Scalar>
class loss : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(loss, Scalars);

TYPED_TEST(loss, sum_and_gradient_match_the_reference) {
  using Scalar = TypeParam;
  Context context;
  const double scale = 1.0 / 7;
  for (Loss kind : losses)
    for (index_t B : odd_sizes)
      for (index_t V : {1, 3, 10, 33, 300})
        for (Placement p : placements) {
          const Case<Scalar> c(B, V);
          const Placed<Scalar> logits(c.logits, B, V, p), dlogits(B, V, p);
          const Kokkos::View<double, Memory> sum("sum");
          loss_forward_backward(context, {.kind = kind}, logits.matrix(), to_device(c.label, p.offset), scale,
                                dlogits.matrix(), sum);
          context.exec().fence();
          double expected = 0, bound = 0;
          std::vector<Scalar> gradient;
          std::vector<double> gradient_bound;
          for (index_t b = 0; b < B; ++b) {
            const double row = reference::loss_row(kind, &c.logits[b * V], V, c.label[b]);
            expected += row;
            bound += unit_roundoff<Scalar> * row_error * (1 + row);
            for (double d : reference::loss_gradient_row(kind, &c.logits[b * V], V, c.label[b])) {
              gradient.push_back(Scalar(scale * d));
              gradient_bound.push_back(unit_roundoff<Scalar> * row_error * scale * (1 + std::abs(d)));
            }
          }
          EXPECT_NEAR(to_host(sum)[0], expected, bound) << "B " << B << " V " << V;
          EXPECT_TRUE(within(dlogits.values(), gradient, gradient_bound));
          EXPECT_TRUE(dlogits.surroundings_untouched());
        }
}

TYPED_TEST(loss, evaluation_counts_hits_and_gives_the_same_sum) {
  using Scalar = TypeParam;
  Context context;
  for (Loss kind : losses)
    for (index_t B : odd_sizes) {
      const index_t V = 10;
      const Case<Scalar> c(B, V);
      const Placed<Scalar> logits(c.logits, B, V), dlogits(B, V);
      const Kokkos::View<double, Memory> sum("sum"), training_sum("training_sum");
      const Kokkos::View<index_t, Memory> correct("correct");
      const auto label = to_device(c.label);
      loss_forward(context, {.kind = kind}, logits.matrix(), label, sum, correct);
      loss_forward_backward(context, {.kind = kind}, logits.matrix(), label, 1, dlogits.matrix(), training_sum);
      context.exec().fence();
      index_t hits = 0;
      for (index_t b = 0; b < B; ++b) {
        const auto row = c.logits.begin() + b * V;
        hits += std::max_element(row, row + V) - row == c.label[b];
      }
      EXPECT_EQ(to_host(correct)[0], hits);
      EXPECT_TRUE(same_bits(to_host(sum), to_host(training_sum)));
    }
}

TYPED_TEST(loss, gradient_may_overwrite_the_logits) {
  using Scalar = TypeParam;
  Context context;
  for (Loss kind : losses) {
    const Case<Scalar> c(17, 10);
    const Placed<Scalar> logits(c.logits, 17, 10), dlogits(17, 10);
    const Kokkos::View<double, Memory> sum("sum"), in_place_sum("in_place_sum");
    const auto label = to_device(c.label);
    loss_forward_backward(context, {.kind = kind}, logits.matrix(), label, 0.5, dlogits.matrix(), sum);
    loss_forward_backward(context, {.kind = kind}, logits.matrix(), label, 0.5, logits.matrix(), in_place_sum);
    context.exec().fence();
    EXPECT_TRUE(same_bits(logits.values(), dlogits.values()));
    EXPECT_TRUE(same_bits(to_host(in_place_sum), to_host(sum)));
  }
}

TYPED_TEST(loss, huge_scores_do_not_overflow) {
  using Scalar = TypeParam;
  Context context;
  const auto big = Scalar(accumulate_t<Scalar>(std::numeric_limits<Scalar>::max()) / 4);
  const std::vector<Scalar> scores = {big,        Scalar(0),  Scalar(-accumulate_t<Scalar>(big)),
                                      Scalar(64), Scalar(62), Scalar(-64)};
  const Placed<Scalar> logits(scores, 2, 3), dlogits(2, 3);
  const Kokkos::View<double, Memory> sum("sum");
  loss_forward_backward(context, {}, logits.matrix(), to_device(std::vector<std::int32_t>{0, 1}), 1, dlogits.matrix(),
                        sum);
  context.exec().fence();
  const double second = std::log1p(std::exp(-2.0)) + 2;  // row (64, 62, -64), label 1
  EXPECT_NEAR(to_host(sum)[0], second, row_error * unit_roundoff<Scalar> * 2);
  for (Scalar d : dlogits.values()) EXPECT_TRUE(std::isfinite(double(d)));
}

TYPED_TEST(loss, a_label_outside_the_classes_makes_the_sum_and_its_rows_gradient_nan) {
  using Scalar = TypeParam;
  Context context;
  for (Loss kind : losses)
    for (std::int32_t bad : {-2, 3, std::numeric_limits<std::int32_t>::min()}) {
      const Placed<Scalar> logits(random_values<Scalar>(1, 9), 3, 3), dlogits(3, 3);
      const Kokkos::View<double, Memory> sum("sum"), evaluated("evaluated");
      const Kokkos::View<index_t, Memory> correct("correct");
      const auto label = to_device(std::vector<std::int32_t>{0, bad, ignore_index});
      loss_forward_backward(context, {.kind = kind}, logits.matrix(), label, 1, dlogits.matrix(), sum);
      loss_forward(context, {.kind = kind}, logits.matrix(), label, evaluated, correct);
      context.exec().fence();
      EXPECT_TRUE(std::isnan(to_host(sum)[0]) && std::isnan(to_host(evaluated)[0]));
      const auto gradient = dlogits.values();
      for (index_t v = 0; v < 3; ++v) {
        EXPECT_TRUE(std::isfinite(double(gradient[v])));
        EXPECT_TRUE(std::isnan(double(gradient[3 + v])));
        EXPECT_EQ(double(gradient[6 + v]), 0);
      }
    }
}

/// Rows that are ignored might as well not be there, whatever their scores are.
TYPED_TEST(loss, an_ignored_label_counts_in_neither_loss_nor_gradient_nor_hits) {
  using Scalar = TypeParam;
  Context context;
  for (Loss kind : losses)
    for (index_t V : {1, 3, 33, 300}) {
      Case<Scalar> c(9, V);
      const Case<Scalar> without = c;
      c.label.insert(c.label.begin() + 4, {ignore_index, ignore_index});
      std::vector<Scalar> extra = random_values<Scalar>(8, 2 * V);
      extra[0] = Scalar(NAN);
      c.logits.insert(c.logits.begin() + 4 * V, extra.begin(), extra.end());
      const auto run = [&](const Case<Scalar>& of, index_t rows) {
        const Placed<Scalar> logits(of.logits, rows, V, {1, 2}), dlogits(rows, V, {3, 1});
        const Kokkos::View<double, Memory> sum("sum"), evaluated("evaluated");
        const Kokkos::View<index_t, Memory> correct("correct");
        loss_forward_backward(context, {.kind = kind}, logits.matrix(), to_device(of.label), 0.25, dlogits.matrix(),
                              sum);
        loss_forward(context, {.kind = kind}, logits.matrix(), to_device(of.label), evaluated, correct);
        context.exec().fence();
        EXPECT_EQ(to_host(sum)[0], to_host(evaluated)[0]);
        return std::tuple(to_host(sum)[0], to_host(correct)[0], dlogits.values());
      };
      const auto [sum, correct, gradient] = run(c, 11);
      auto [expected_sum, expected_correct, expected] = run(without, 9);
      EXPECT_EQ(sum, expected_sum);
      EXPECT_EQ(correct, expected_correct);
      expected.insert(expected.begin() + 4 * V, std::size_t(2 * V), Scalar(0));
      EXPECT_TRUE(same_bits(gradient, expected));
    }
}

TEST(loss_labels, ties_go_to_the_first_class) {
  Context context;
  const Placed<float> logits({2, 2, 1, 0, 5, 5, 7, 7, 7}, 3, 3);
  const Kokkos::View<double, Memory> sum("sum");
  const Kokkos::View<index_t, Memory> correct("correct");
  for (Loss kind : losses)
    for (const auto& [labels, hits] : {std::pair(std::vector<std::int32_t>{0, 1, 0}, 3), {{1, 2, 2}, 0}}) {
      loss_forward(context, {.kind = kind}, logits.matrix(), to_device(labels), sum, correct);
      context.exec().fence();
      EXPECT_EQ(to_host(correct)[0], hits);
    }
}

TEST(loss_labels, shape_error_names_operand_and_extents) {
  Context context;
  const Matrix<float> logits("logits", 4, 3);
  const Kokkos::View<double, Memory> sum("sum");
  EXPECT_EQ(caught<ShapeError>([&] {
              loss_forward_backward(context, {.kind = Loss::mse}, logits, Vector<std::int32_t>("label", 5), 1, logits,
                                    sum);
            }),
            "loss_forward_backward: label has 5 elements, logits has 4 rows: expected label (B) and logits (B, V) "
            "with the same B");
}

}  // namespace
}  // namespace partita::kernels::test::loss_tests
