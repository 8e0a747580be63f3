// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/cast.hpp>

#include "support.hpp"

namespace partita::kernels::test {
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

TEST(cast, different_lengths_are_an_error) {
  EXPECT_THROW((cast<float16, float>(Exec(), Vector<float>("a", 3), Vector<float16>("b", 4))), ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test
