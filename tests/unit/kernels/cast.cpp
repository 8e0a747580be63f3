// SPDX-License-Identifier: BSD-3-Clause
#include <bit>

#include <partita/core/error.hpp>
#include <partita/kernels/cast.hpp>

#include "support.hpp"

namespace partita::kernels::test::cast_tests {
namespace {

template <class Pair>
class cast_pairs : public ::testing::Test {};
template <class To, class From>
struct Types {
  using to = To;
  using from = From;
};
using Pairs = ::testing::Types<Types<float, float>, Types<float, double>, Types<float, bfloat16>, Types<float, float16>,
                               Types<double, float>, Types<double, double>, Types<double, bfloat16>,
                               Types<double, float16>, Types<bfloat16, float>, Types<bfloat16, double>,
                               Types<bfloat16, bfloat16>, Types<bfloat16, float16>, Types<float16, float>,
                               Types<float16, double>, Types<float16, bfloat16>, Types<float16, float16>>;
TYPED_TEST_SUITE(cast_pairs, Pairs);

TYPED_TEST(cast_pairs, each_element_is_rounded_as_a_number_is) {
  using To = typename TypeParam::to;
  using From = typename TypeParam::from;
  const Exec exec;
  for (index_t n : {0, 1, 3, 17, 33, 4097})
    for (index_t offset : {0, 1, 3}) {
      auto a = random_values<From>(1, n);
      if (n > 3) a[1] = From(1e30), a[2] = From(-1e-6), a[3] = From(1e-30);
      std::vector<To> expected;
      for (const From& value : a) expected.push_back(To(value));
      const Placed<To> b(1, n, {offset, 3});
      cast<To, From>(exec, to_device(a, offset), Vector<To>(b.matrix().data(), n));
      exec.fence();
      EXPECT_TRUE(same_bits(b.values(), expected));
      EXPECT_TRUE(b.surroundings_untouched());
    }
}

TEST(cast, to_fp16_in_vectors_gives_the_bits_of_single_numbers) {
  // Every number of fp16, NaNs and subnormals too, what lies beside it, and what lies half way to the next.
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto value = float(float16::from_bits(std::uint16_t(bits)));
    const auto pattern = std::bit_cast<std::uint32_t>(value);
    for (const std::uint32_t offset : {0u, 1u, 0x0fffu, 0x1000u, 0x1001u, 0xffffffffu})
      values.push_back(std::bit_cast<float>(pattern + offset));
  }
  values.push_back(1e30f);  // a length that is no multiple of a vector
  const Vector<float> a = to_device(values, 1);
  const Vector<float16> b("b", values.size());
  cast<float16, float>(Exec(), a, b);
  Exec().fence();
  std::vector<float16> expected;
  for (const float value : values) expected.push_back(float16(value));
  EXPECT_TRUE(same_bits(to_host(b), expected));
}

TEST(cast, different_lengths_are_an_error) {
  EXPECT_THROW((cast<float16, float>(Exec(), Vector<float>("a", 3), Vector<float16>("b", 4))), ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test::cast_tests
