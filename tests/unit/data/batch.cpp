// SPDX-License-Identifier: BSD-3-Clause
#include <limits>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/batch.hpp>

#include <support/caught.hpp>
#include "idx_files.hpp"

namespace partita::data::batch_tests {
namespace {

using namespace partita;
using namespace partita::data;
using partita::testing::caught;

constexpr index_t N = 23;
constexpr index_t F = 15;  // 3 x 5

ImageSet image_set() {
  ImageSet set{partita::testing::noise(N * F), {}, N, 3, 5, 1, 10};
  for (index_t s = 0; s < N; ++s) set.labels.push_back(static_cast<std::uint8_t>(s % 10));
  return set;
}

template <class Scalar>
class batch : public ::testing::Test {
 protected:
  // Row i of x must be sample s: within the rounding of one product and one sum of numbers up to 255 / 255 / deviation.
  void expect_sample(const Matrix<Scalar>& x, const Vector<std::int32_t>& label, index_t i, index_t s) const {
    const auto host_x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, x);
    const auto host_label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, label);
    const double tolerance = 4 * static_cast<double>(std::numeric_limits<Scalar>::epsilon()) / normalisation_.deviation;
    EXPECT_EQ(host_label(i), static_cast<std::int32_t>(set_.labels[s])) << i;
    for (index_t f = 0; f < F; ++f) {
      const double expected = (set_.pixels[s * F + f] / 255.0 - normalisation_.mean) / normalisation_.deviation;
      EXPECT_NEAR(static_cast<double>(host_x(i, f)), expected, tolerance) << i << ", " << f;
    }
  }

  const ImageSet set_ = image_set();
  const DeviceImages images_ = upload(set_);
  const Normalisation normalisation_{0.3, 0.25};
  const Exec exec_;
};

using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(batch, Scalars);

TYPED_TEST(batch, ranks_gather_the_rows_that_the_sampler_says) {
  const Sampler sampler(5, N, 8);
  for (const index_t P : {1, 2, 3, 8, 11}) {
    for (const index_t step : {0, 1, 2, 7}) {
      for (index_t rank = 0; rank < P; ++rank) {
        const Slice rows = partition(8, P, rank);
        const Matrix<TypeParam> x("partita::test::x", rows.extent, F);
        const Vector<std::int32_t> label("partita::test::label", rows.extent);
        Kokkos::deep_copy(x, TypeParam(77));
        gather_batch(this->exec_, this->normalisation_, this->images_, sampler, step, rows, x, label);
        for (index_t i = 0; i < rows.extent; ++i)
          this->expect_sample(x, label, i, sampler.sample(step, rows.offset + i));
      }
    }
  }
}

TYPED_TEST(batch, evaluation_goes_in_order) {
  for (const index_t first : {0, 4, 20}) {
    const Matrix<TypeParam> x("partita::test::x", 3, F);
    const Vector<std::int32_t> label("partita::test::label", 3);
    gather_rows(this->exec_, this->normalisation_, this->images_, first, x, label);
    for (index_t i = 0; i < 3; ++i) this->expect_sample(x, label, i, first + i);
  }
}

TYPED_TEST(batch, extents_that_do_not_fit_are_named) {
  const Sampler sampler(5, N, 8);
  const Matrix<TypeParam> x("partita::test::x", 4, F);
  const Matrix<TypeParam> narrow("partita::test::narrow", 4, F - 1);
  const Vector<std::int32_t> label("partita::test::label", 4);
  const Vector<std::int32_t> few("partita::test::few", 3);
  const auto message = [&](const Sampler& s, Slice rows, const auto& x_, const auto& label_) {
    return caught<ShapeError>(
        [&] { gather_batch(this->exec_, this->normalisation_, this->images_, s, 0, rows, x_, label_); });
  };
  EXPECT_EQ(message(sampler, {0, 4, 8}, x, label), "nothing was thrown");
  EXPECT_EQ(message(sampler, {0, 4, 8}, x, few),
            "gather_batch: label has 3 rows, x has 4: expected x (B, F) and label (B) with the same B");
  EXPECT_EQ(message(sampler, {0, 5, 8}, x, label),
            "gather_batch: x has 4 rows, the slice has 5: expected the same number");
  EXPECT_EQ(message(sampler, {0, 4, 9}, x, label),
            "gather_batch: rows are [0, 4) of 9: expected a part of the sampler's batch of 8");
  EXPECT_EQ(message(sampler, {5, 4, 8}, x, label),
            "gather_batch: rows are [5, 9) of 8: expected a part of the sampler's batch of 8");
  EXPECT_EQ(message(sampler, {0, 4, 8}, narrow, label),
            "gather_batch: images are (23, 15) with 23 labels, x has 14 columns: expected images (N, F), N labels and "
            "x (B, F)");
  EXPECT_EQ(message(Sampler(5, N + 1, 8), {0, 4, 8}, x, label),
            "gather_batch: the sampler draws from 24 samples, images holds 23: expected the same number");
  const auto rows_message = [&](index_t first) {
    return caught<ShapeError>([&] { gather_rows(this->exec_, this->normalisation_, this->images_, first, x, label); });
  };
  EXPECT_EQ(rows_message(19), "nothing was thrown");
  EXPECT_EQ(rows_message(20), "gather_rows: samples are [20, 24): expected a part of the 23 that there are");
  EXPECT_EQ(rows_message(-1), "gather_rows: samples are [-1, 3): expected a part of the 23 that there are");
}

}  // namespace
}  // namespace partita::data::batch_tests
