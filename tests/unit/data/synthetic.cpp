// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/synthetic.hpp>

#include <support/caught.hpp>

namespace partita::data::synthetic_tests {
namespace {

using namespace partita;
using namespace partita::data;
using partita::testing::caught;

struct Rows {
  std::vector<std::vector<double>> x;
  std::vector<std::int32_t> label;
};

template <class Scalar>
void append(Rows& rows, const Matrix<Scalar>& x, const Vector<std::int32_t>& label) {
  const auto host_x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, x);
  const auto host_label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, label);
  for (std::size_t i = 0; i < x.extent(0); ++i) {
    rows.x.emplace_back();
    for (std::size_t f = 0; f < x.extent(1); ++f) rows.x.back().push_back(static_cast<double>(host_x(i, f)));
    rows.label.push_back(host_label(i));
  }
}

template <class Scalar>
Rows batch_of(const SyntheticOptions& options, const Sampler& sampler, index_t step, index_t P) {
  Rows result;
  for (index_t rank = 0; rank < P; ++rank) {
    const Slice rows = partition(sampler.batch(), P, rank);
    const Matrix<Scalar> x("partita::test::x", rows.extent, options.features);
    const Vector<std::int32_t> label("partita::test::label", rows.extent);
    synthetic_batch(Exec{}, options, sampler, step, rows, x, label);
    append(result, x, label);
  }
  return result;
}

Rows rows_of(const SyntheticOptions& options, Split split, index_t first, index_t count) {
  const Matrix<double> x("partita::test::x", count, options.features);
  const Vector<std::int32_t> label("partita::test::label", count);
  synthetic_rows(Exec{}, options, split, first, x, label);
  Rows result;
  append(result, x, label);
  return result;
}

// The prototypes, as seen without noise.
std::map<std::int32_t, std::vector<double>> prototypes(SyntheticOptions options, Split split) {
  options.noise = 0;
  const Rows rows = rows_of(options, split, 0, 200);
  std::map<std::int32_t, std::vector<double>> result;
  for (std::size_t i = 0; i < rows.x.size(); ++i) {
    const auto [found, added] = result.emplace(rows.label[i], rows.x[i]);
    EXPECT_EQ(found->second, rows.x[i]) << "one prototype for each class";
  }
  return result;
}

TEST(synthetic, a_batch_does_not_depend_on_how_ranks_share_it) {
  for (const index_t F : {1, 4, 5, 17}) {
    const SyntheticOptions options{3, F, 10, 1.0};
    const Sampler sampler(3, 100, 12);
    for (const index_t step : {0, 9}) {
      const Rows serial = batch_of<double>(options, sampler, step, 1);
      for (const index_t P : {2, 3, 5, 12, 13}) {
        const Rows shared = batch_of<double>(options, sampler, step, P);
        EXPECT_EQ(shared.x, serial.x) << F << " features on " << P << " ranks";
        EXPECT_EQ(shared.label, serial.label);
      }
    }
  }
}

TEST(synthetic, a_sample_is_a_function_of_its_global_index) {
  const SyntheticOptions options{3, 17, 10, 1.0};
  const Sampler sampler(3, 100, 12);
  const Rows all = rows_of(options, Split::train, 0, 100);
  const Rows rows = batch_of<double>(options, sampler, 4, 1);
  for (index_t b = 0; b < 12; ++b) {
    EXPECT_EQ(rows.x[b], all.x[sampler.sample(4, b)]);
    EXPECT_EQ(rows.label[b], all.label[sampler.sample(4, b)]);
  }
  const Rows tail = rows_of(options, Split::train, 90, 10);
  EXPECT_EQ(tail.x[9], all.x[99]);
}

// Four features come from one draw: a slice may begin and end within one.
TEST(synthetic, a_slice_of_the_features_has_the_whole_sample_s_numbers) {
  constexpr index_t F = 17;
  SyntheticOptions options{3, F, 10, 1.0};
  const Sampler sampler(3, 100, 12);
  const Rows all = rows_of(options, Split::held_out, 40, 12);
  const Rows batch = batch_of<double>(options, sampler, 2, 1);
  for (index_t first = 0; first < F; ++first)
    for (index_t count = 1; count <= F - first; ++count) {
      options.here = {first, count, F};
      const Matrix<double> x("partita::test::x", 12, count);
      const Vector<std::int32_t> label("partita::test::label", 12);
      Rows part_of_all, part_of_batch;
      synthetic_rows(Exec{}, options, Split::held_out, 40, x, label);
      append(part_of_all, x, label);
      synthetic_batch(Exec{}, options, sampler, 2, whole(12), x, label);
      append(part_of_batch, x, label);
      for (const auto& [part, of] : {std::pair(&part_of_all, &all), std::pair(&part_of_batch, &batch)}) {
        ASSERT_EQ(part->label, of->label);
        for (std::size_t b = 0; b < 12; ++b) {
          const auto begin = of->x[b].begin() + first;
          ASSERT_EQ(part->x[b], std::vector<double>(begin, begin + count)) << "features from " << first;
        }
      }
    }
}

TEST(synthetic, single_precision_is_the_rounded_double) {
  const SyntheticOptions options{3, 17, 10, 1.0};
  const Sampler sampler(3, 100, 12);
  const Rows single = batch_of<float>(options, sampler, 0, 1);
  const Rows full = batch_of<double>(options, sampler, 0, 1);
  for (std::size_t b = 0; b < 12; ++b) {
    for (std::size_t f = 0; f < 17; ++f)
      EXPECT_EQ(single.x[b][f], static_cast<double>(static_cast<float>(full.x[b][f])));
  }
}

TEST(synthetic, samples_differ_from_each_other_and_with_the_seed) {
  // Prototypes and noise are multiples of one number: an irrational factor keeps sums apart unless both parts agree.
  const double noise = std::sqrt(0.5);
  const Rows one = rows_of({3, 17, 10, noise}, Split::train, 0, 500);
  const Rows other = rows_of({4, 17, 10, noise}, Split::train, 0, 500);
  std::set<double> values;
  for (const Rows* rows : {&one, &other}) {
    for (const auto& row : rows->x) values.insert(row.begin(), row.end());
  }
  // Two draws of noise are alike once in 10^5; within a class, feature and seed that makes 4 pairs in all.
  EXPECT_GT(values.size(), 16980u);
}

TEST(synthetic, held_out_samples_are_new_ones_of_the_same_classes) {
  const SyntheticOptions options{3, 17, 10, 1.0};
  EXPECT_EQ(prototypes(options, Split::train), prototypes(options, Split::held_out));
  EXPECT_EQ(prototypes(options, Split::train).size(), 10u);
  const Rows train = rows_of(options, Split::train, 0, 500);
  const Rows held_out = rows_of(options, Split::held_out, 0, 500);
  EXPECT_NE(train.label, held_out.label);
  std::set<double> seen;
  for (const auto& row : train.x) seen.insert(row[0]);
  int known = 0;
  for (const auto& row : held_out.x) known += static_cast<int>(seen.count(row[0]));
  EXPECT_LT(known, 3);
}

TEST(synthetic, noise_is_drawn_anew_for_every_feature_of_every_sample) {
  const SyntheticOptions options{3, 17, 10, 1.0};
  const auto prototype = prototypes(options, Split::train);
  const Rows rows = rows_of(options, Split::train, 0, 500);
  constexpr double unit = 3.7e-5;  // noise is a multiple of a bit more than this
  std::set<std::int64_t> distinct;
  for (std::size_t i = 0; i < 500; ++i) {
    for (std::size_t f = 0; f < 17; ++f) {
      distinct.insert(std::llround((rows.x[i][f] - prototype.at(rows.label[i])[f]) / unit));
    }
  }
  // 8,500 draws of which two are alike once in 10^5: about 360 pairs. A counter used twice would make thousands.
  EXPECT_GT(distinct.size(), 8000u);
}

TEST(synthetic, noise_and_prototypes_have_unit_deviation) {
  constexpr index_t F = 20001, B = 50;
  constexpr double five_sigma = 5.0;
  const double square_sigma = std::sqrt(1.4);  // of one draw: the triangle's fourth moment is 2.4
  const SyntheticOptions options{3, F, 2, 2.0};
  const auto prototype = prototypes(options, Split::train);
  double mean = 0, square = 0;
  for (index_t f = 0; f < F; ++f) {
    const double p = prototype.at(0)[f];
    ASSERT_LE(std::abs(p), 2.45);
    mean += p / F;
    square += p * p / F;
  }
  EXPECT_NEAR(mean, 0, five_sigma / std::sqrt(F));
  EXPECT_NEAR(square, 1, five_sigma * square_sigma / std::sqrt(F));

  const Rows rows = rows_of(options, Split::train, 0, B);
  constexpr double n = static_cast<double>(F * B);
  double noise_mean = 0, noise_square = 0, correlation = 0;
  for (std::size_t i = 0; i < rows.x.size(); ++i) {
    for (index_t f = 0; f < F; ++f) {
      const double p = prototype.at(rows.label[i])[f];
      const double z = (rows.x[i][f] - p) / options.noise;
      noise_mean += z / n;
      noise_square += z * z / n;
      correlation += p * z / n;
    }
  }
  EXPECT_NEAR(noise_mean, 0, five_sigma / std::sqrt(n));
  EXPECT_NEAR(noise_square, 1, five_sigma * square_sigma / std::sqrt(n));
  EXPECT_NEAR(correlation, 0, five_sigma / std::sqrt(n));
}

TEST(synthetic, classes_are_equally_likely) {
  const Rows rows = rows_of({3, 1, 7, 1.0}, Split::train, 0, 7000);
  std::map<std::int32_t, int> count;
  for (const std::int32_t c : rows.label) ++count[c];
  ASSERT_EQ(count.size(), 7u);
  EXPECT_EQ(count.begin()->first, 0);
  for (const auto& [c, times] : count) EXPECT_NEAR(times, 1000, 5 * std::sqrt(1000.0)) << c;
}

TEST(synthetic, the_nearest_prototype_is_the_class) {  // so there is something to learn
  const SyntheticOptions options{3, 64, 10, 1.0};
  const auto prototype = prototypes(options, Split::train);
  const Rows rows = rows_of(options, Split::held_out, 0, 300);
  int right = 0;
  for (std::size_t i = 0; i < rows.x.size(); ++i) {
    double nearest = 1e300;
    std::int32_t guess = -1;
    for (const auto& [c, p] : prototype) {
      double distance = 0;
      for (std::size_t f = 0; f < p.size(); ++f) distance += (p[f] - rows.x[i][f]) * (p[f] - rows.x[i][f]);
      if (distance < nearest) {
        nearest = distance;
        guess = c;
      }
    }
    right += guess == rows.label[i];
  }
  EXPECT_GE(right, 297);
}

TEST(synthetic, extents_that_do_not_fit_are_named) {
  const Matrix<float> x("partita::test::x", 4, 5);
  const Vector<std::int32_t> label("partita::test::label", 4);
  const Sampler sampler(1, 100, 8);
  EXPECT_EQ(caught<ShapeError>([&] {
              synthetic_batch(Exec{}, {1, 6, 10, 1.0}, sampler, 0, {0, 4, 8}, x, label);
            }),
            "synthetic_batch: x has 5 columns, options say 6 features in 10 classes: expected x (B, F) with F "
            "features, F >= 1, "
            "classes >= 1");
  EXPECT_THROW(synthetic_batch(Exec{}, {1, 5, 10, 1.0}, sampler, 0, {0, 3, 8}, x, label), ShapeError);
  EXPECT_THROW(synthetic_batch(Exec{}, {1, 5, 10, 1.0}, sampler, 0, {0, 4, 9}, x, label), ShapeError);
  EXPECT_THROW(synthetic_rows(Exec{}, {1, 5, 0, 1.0}, Split::train, 0, x, label), ShapeError);
  EXPECT_EQ(caught<ShapeError>([&] {
              synthetic_rows(Exec{}, {1, 7, 10, 1.0, {3, 5, 7}}, Split::train, 0, x, label);
            }),
            "synthetic_rows: features [3, 8) of 7: expected a part of them");
  EXPECT_THROW(synthetic_rows(Exec{}, {1, 9, 10, 1.0, {-1, 5, 9}}, Split::train, 0, x, label), ShapeError);
  EXPECT_THROW(synthetic_rows(Exec{}, {1, 9, 10, 1.0, {0, 4, 9}}, Split::train, 0, x, label), ShapeError);
}

}  // namespace
}  // namespace partita::data::synthetic_tests
