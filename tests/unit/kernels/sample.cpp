// SPDX-License-Identifier: BSD-3-Clause
// Classes are drawn as often as softmax says, by ranks that have some of them as by one that has all.
#include <cmath>

#include <partita/core/error.hpp>
#include <partita/kernels/sample.hpp>

#include <support/caught.hpp>
#include "support.hpp"

namespace partita::kernels::test::sample_tests {
namespace {

struct Drawn {
  std::vector<double> best;
  std::vector<index_t> which;
};

template <class Scalar>
Drawn draw(const SampleOptions& options, const Slice& words, index_t below, const std::vector<Scalar>& logits,
           index_t B, Placement p = {}) {
  const Placed<Scalar> z(logits, B, words.extent, p);
  const Vector<double> best("best", B);
  const Vector<index_t> which("which", B);
  sample<Scalar>(Exec(), options, words, below, z.matrix(), best, which);
  Exec().fence();
  return {to_host(best), to_host(which)};
}

// Columns [first, first + n) of rows of V.
std::vector<float> columns(const std::vector<float>& of, index_t V, index_t first, index_t n) {
  std::vector<float> some;
  for (std::size_t row = 0; row < of.size(); row += V)
    some.insert(some.end(), of.begin() + row + first, of.begin() + row + first + n);
  return some;
}

TEST(sample, frequencies_are_those_of_softmax) {
  // Chi-square with 5 degrees of freedom is above 25.7 once in 10,000.
  const std::vector<float> scores = {0.5f, -1, 2, 0, 1.5f, -3};
  const index_t V = 6, B = 60000;
  std::vector<float> rows;
  for (index_t b = 0; b < B; ++b) rows.insert(rows.end(), scores.begin(), scores.end());
  for (const double temperature : {1.0, 0.5, 3.0}) {
    std::vector<double> p(V);
    double total = 0;
    for (index_t v = 0; v < V; ++v) total += p[v] = std::exp(double(scores[v]) / temperature);
    std::vector<double> count(V);
    for (const index_t v : draw<float>({temperature, 3, 0}, whole(V), V, rows, B).which) ++count[v];
    double chi_square = 0;
    for (index_t v = 0; v < V; ++v) {
      const double expected = p[v] / total * double(B);
      chi_square += (count[v] - expected) * (count[v] - expected) / expected;
    }
    EXPECT_LT(chi_square, 25.7) << "temperature " << temperature;
  }
}

TEST(sample, the_best_of_slices_is_the_best_of_all) {
  const index_t V = 37, B = 200;
  const auto rows = random_values<float>(5, B * V);
  const SampleOptions options{0.7, 11, 1000};
  const Drawn all = draw<float>(options, whole(V), V, rows, B, {1, 3});
  const Drawn left = draw<float>(options, {0, 13, V}, V, columns(rows, V, 0, 13), B),
              right = draw<float>(options, {13, 24, V}, V, columns(rows, V, 13, 24), B, {2, 1});
  for (index_t b = 0; b < B; ++b) {
    const bool first = left.best[b] >= right.best[b];
    EXPECT_EQ(all.which[b], first ? left.which[b] : right.which[b]);
    EXPECT_EQ(all.best[b], first ? left.best[b] : right.best[b]);
  }
}

TEST(sample, a_draw_depends_on_its_number_alone) {
  const index_t V = 300;
  const auto row = random_values<float>(6, V);
  std::vector<float> rows;
  for (index_t b = 0; b < 4; ++b) rows.insert(rows.end(), row.begin(), row.end());
  const Drawn together = draw<float>({1, 2, 7}, whole(V), V, rows, 4);
  for (index_t b = 0; b < 4; ++b)
    EXPECT_EQ(draw<float>({1, 2, std::uint64_t(7 + b)}, whole(V), V, row, 1).which[0], together.which[b]);
  EXPECT_NE(together.which, draw<float>({1, 3, 7}, whole(V), V, rows, 4).which) << "the seed does not count";
}

TEST(sample, at_temperature_0_it_is_the_first_of_the_largest) {
  const std::vector<double> rows = {1, 5, 5, -1, 3, 2, 1, 0};
  const Drawn drawn = draw<double>({0, 1, 0}, {4, 4, 8}, 8, rows, 2);
  EXPECT_EQ(drawn.which, (std::vector<index_t>{5, 4}));
  EXPECT_EQ(drawn.best, (std::vector<double>{5, 3}));
}

TEST(sample, words_beyond_the_limit_are_not_drawn) {
  const std::vector<float> row = {0, 1, 50, 60};
  EXPECT_LT(draw<float>({1, 1, 0}, {254, 4, 258}, 256, row, 1).which[0], 256);
  const Drawn none = draw<float>({1, 1, 0}, {256, 2, 258}, 256, {1, 2}, 1);
  EXPECT_EQ(none.which[0], -1);
  EXPECT_EQ(none.best[0], -std::numeric_limits<double>::infinity());
}

TEST(sample, scores_that_are_no_numbers_are_not_drawn) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(draw<float>({1, 1, 0}, whole(3), 3, {nan, 1, nan}, 1).which[0], 1);
  EXPECT_EQ(draw<float>({1, 1, 0}, whole(2), 2, {nan, nan}, 1).which[0], -1);
}

TEST(sample, errors_name_operand_and_extents) {
  const Matrix<float> z("z", 2, 5);
  const Vector<double> best("best", 2), few("few", 1);
  const Vector<index_t> which("which", 2);
  EXPECT_NE(caught<ShapeError>([&] {
              sample<float>(Exec(), {}, whole(4), 4, z, best, which);
            }).find("sample: logits has 5 columns, the slice of the vocabulary has 4 classes"),
            std::string::npos);
  EXPECT_NE(
      caught<ShapeError>([&] { sample<float>(Exec(), {}, whole(5), 5, z, few, which); }).find("sample: best has 1"),
      std::string::npos);
}

}  // namespace
}  // namespace partita::kernels::test::sample_tests
