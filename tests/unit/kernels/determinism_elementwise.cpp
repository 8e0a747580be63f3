// SPDX-License-Identifier: BSD-3-Clause
#include <functional>

#include <partita/kernels/activation.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/kernels/dropout.hpp>
#include <partita/kernels/elementwise.hpp>

#include "support.hpp"

// Kernels over flat ranges: an element depends on its own inputs alone. Every part is computed on another instance and
// at another place than the whole, and must have the whole's bits.

namespace partita::kernels::test::determinism_elementwise_tests {
namespace {

template <class Scalar>
class determinism_elementwise : public ::testing::Test {
 protected:
  static constexpr index_t n = 9001;
  std::vector<Scalar> left = random_values<Scalar>(1, n), right = random_values<Scalar>(2, n);

  /// kernel(exec, left, right, result, index of the first element).
  using Kernel = std::function<void(const Exec&, Vector<Scalar>, Vector<Scalar>, Vector<Scalar>, index_t)>;

  std::vector<Scalar> run(const Kernel& kernel, const Exec& exec, index_t first, index_t extent, index_t offset) const {
    const auto part = [&](const std::vector<Scalar>& all) {
      return to_device(std::vector<Scalar>(all.begin() + first, all.begin() + first + extent), offset);
    };
    const auto c = to_device(std::vector<Scalar>(extent), offset);
    kernel(exec, part(left), part(right), c, first);
    exec.fence();
    return to_host(c);
  }
  void check(const std::string& what, const Kernel& kernel) const {
    const auto all = run(kernel, Exec(), 0, n, 0);
    for (const Exec& exec : instances())
      for (index_t extent : {1, 17, 5000})
        for (index_t first : {0, 7, 3990})
          EXPECT_TRUE(same_bits(run(kernel, exec, first, extent, first % 3),
                                {all.begin() + first, all.begin() + first + extent}))
              << what << " from " << first << ", " << extent;
  }
};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(determinism_elementwise, Scalars);

TYPED_TEST(determinism_elementwise, a_part_is_the_part) {
  using Scalar = TypeParam;
  using Range = Vector<Scalar>;
  const auto row = [](const Range& x) { return Matrix<Scalar>(x.data(), 1, x.extent(0)); };
  for (Activation kind : {Activation::relu, Activation::tanh, Activation::sigmoid, Activation::gelu,
                          Activation::gelu_tanh, Activation::silu}) {
    this->check(std::string(name(kind)), [=](const Exec& exec, Range a, Range, Range c, index_t) {
      activation_forward<Scalar>(exec, kind, row(a), row(c));
    });
    this->check(std::string(name(kind)) + "'", [=](const Exec& exec, Range a, Range b, Range c, index_t) {
      activation_backward_from_input<Scalar>(exec, kind, row(a), row(b), row(c));
    });
  }
  this->check("add", [](const Exec& exec, Range a, Range b, Range c, index_t) { add<Scalar>(exec, a, b, c); });
  this->check("add_relu",
              [](const Exec& exec, Range a, Range b, Range c, index_t) { add_relu<Scalar>(exec, a, b, c); });
  this->check("dropout", [=](const Exec& exec, Range a, Range, Range c, index_t first) {
    const Slice part{first, index_t(a.extent(0)), TestFixture::n};
    dropout<Scalar>(exec, {.rate = 0.4, .seed = 5, .rows = whole(1), .columns = part}, row(a), row(c));
  });
  this->check("cast", [](const Exec& exec, Range a, Range, Range c, index_t) {
    const Vector<float16> narrow("narrow", a.extent(0));
    cast<float16, Scalar>(exec, a, narrow);
    cast<Scalar, float16>(exec, narrow, c);
    exec.fence();
  });
}

}  // namespace
}  // namespace partita::kernels::test::determinism_elementwise_tests
