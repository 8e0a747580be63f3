// SPDX-License-Identifier: BSD-3-Clause
// Samples by a list: the bits of the batch and of the rows that hold them.
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/synthetic.hpp>

#include <support/caught.hpp>
#include "idx_files.hpp"

namespace partita::data::listed_samples_tests {
namespace {

using partita::testing::caught;

constexpr index_t N = 40, F = 15, B = 7;

template <class Scalar>
struct Rows {
  Matrix<Scalar> x;
  Vector<std::int32_t> label;
  explicit Rows(index_t rows)
      : x("partita::test::x", static_cast<std::size_t>(rows), F),
        label("partita::test::label", static_cast<std::size_t>(rows)) {
    Kokkos::deep_copy(x, Scalar(77));
  }
};

template <class Scalar>
void expect_row(const Rows<Scalar>& rows, index_t i, const Rows<Scalar>& expected, index_t j) {
  const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, rows.x);
  const auto y = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, expected.x);
  const auto label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, rows.label);
  const auto other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, expected.label);
  EXPECT_EQ(label(i), other(j)) << i;
  for (index_t f = 0; f < F; ++f) EXPECT_EQ(x(i, f), y(j, f)) << i << ", " << f;
}

ConstVector<index_t> list_of(const std::vector<index_t>& samples) {
  const Vector<index_t> list("partita::test::samples", samples.size());
  const auto host = Kokkos::create_mirror_view(list);
  std::copy(samples.begin(), samples.end(), host.data());
  Kokkos::deep_copy(list, host);
  return list;
}

template <class Scalar>
class listed_samples : public ::testing::Test {
 protected:
  static DeviceImages images() {
    ImageSet set{partita::testing::noise(N * F), {}, N, 3, 5, 1, 10};
    for (index_t s = 0; s < N; ++s) set.labels.push_back(static_cast<std::uint8_t>(s * s % 10));
    return upload(set);
  }

  // Of a step as the sampler says, and any of all rows, backwards and twice.
  template <class Batch, class InOrder, class Listed>
  void expect_same(const Batch& batch, const InOrder& in_order, const Listed& listed) {
    const Sampler sampler(5, N, B);
    Rows<Scalar> expected(B), all(N), rows(B), some(3);
    std::vector<index_t> samples;
    for (index_t b = 0; b < B; ++b) samples.push_back(sampler.sample(6, b));
    batch(sampler, expected);
    in_order(all);
    listed(list_of(samples), rows);
    for (index_t b = 0; b < B; ++b) {
      expect_row(rows, b, expected, b);
      expect_row(rows, b, all, samples[static_cast<std::size_t>(b)]);
    }
    listed(list_of({N - 1, 0, N - 1}), some);
    expect_row(some, 0, all, N - 1);
    expect_row(some, 1, all, 0);
    expect_row(some, 2, all, N - 1);
  }
};

using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(listed_samples, Scalars);

TYPED_TEST(listed_samples, synthetic_ones_are_those_of_a_batch) {
  const SyntheticOptions options{3, F, 10, 1.0};
  using R = Rows<TypeParam>;
  this->expect_same([&](const Sampler& sampler,
                        const R& to) { synthetic_batch(Exec{}, options, sampler, 6, whole(B), to.x, to.label); },
                    [&](const R& to) { synthetic_rows(Exec{}, options, Split::train, 0, to.x, to.label); },
                    [&](const ConstVector<index_t>& list, const R& to) {
                      synthetic_samples(Exec{}, options, list, to.x, to.label);
                      const auto label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, to.label);
                      const auto sample = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, list);
                      for (std::size_t b = 0; b < label.extent(0); ++b)
                        EXPECT_EQ(label(b), synthetic_label(options, sample(b)));
                    });
}

TYPED_TEST(listed_samples, images_are_those_of_a_batch) {
  const DeviceImages images = this->images();
  using R = Rows<TypeParam>;
  this->expect_same(
      [&](const Sampler& sampler, const R& to) {
        gather_batch(Exec{}, {0.3, 0.25}, images, sampler, 6, whole(B), to.x, to.label);
      },
      [&](const R& to) {
        gather_rows(Exec{}, {0.3, 0.25}, images, 0, to.x, to.label);
      },
      [&](const ConstVector<index_t>& list, const R& to) {
        gather_samples(Exec{}, {0.3, 0.25}, images, list, to.x, to.label);
      });
}

TYPED_TEST(listed_samples, extents_that_do_not_fit_are_named) {
  const DeviceImages images = this->images();
  const Rows<TypeParam> to(2);
  const Vector<std::int32_t> few("partita::test::few", 1);
  const ConstVector<index_t> list = list_of({1, 2, 3});
  EXPECT_EQ(caught<ShapeError>([&] {
              synthetic_samples(Exec{}, {3, F, 10, 1.0}, list, to.x, to.label);
            }),
            "synthetic_samples: x has 2 rows, the list has 3 samples: expected the same number");
  EXPECT_EQ(caught<ShapeError>([&] { gather_samples(Exec{}, {}, images, list, to.x, to.label); }),
            "gather_samples: x has 2 rows, the list has 3 samples: expected the same number");
  EXPECT_THROW(gather_samples(Exec{}, {}, images, list_of({1, 2}), to.x, few), ShapeError);
  EXPECT_THROW(synthetic_samples(Exec{}, {3, F - 1, 10, 1.0}, list_of({1, 2}), to.x, to.label), ShapeError);
}

}  // namespace
}  // namespace partita::data::listed_samples_tests
