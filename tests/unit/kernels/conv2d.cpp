// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test {
namespace {

struct Sizes {
  index_t B;
  Conv2dShape s;
};

std::string text(const Sizes& z, Placement p) {
  const auto n = [](index_t value) { return " " + std::to_string(value); };
  return "B" + n(z.B) + " image" + n(z.s.rows) + n(z.s.columns) + n(z.s.channels) + " filters" + n(z.s.filters) +
         " kernel" + n(z.s.kernel_rows) + n(z.s.kernel_columns) + " stride" + n(z.s.stride) + " padding" +
         n(z.s.padding) + " offset" + n(p.offset) + " pad" + n(p.pad);
}

/// Channels and filters at the sizes where kernels go wrong; kernels, strides and paddings that leave nothing out:
/// larger than the padding, smaller than the stride (pixels that no output sees), as large as the image.
std::vector<Sizes> all_sizes() {
  std::vector<Sizes> all;
  for (index_t channels : odd_sizes)
    for (index_t filters : odd_sizes) all.push_back({3, {5, 4, channels, filters, 3, 3, 1, 1}});
  for (index_t B : {0, 1, 2, 17, 33}) all.push_back({B, {4, 5, 3, 5, 3, 2, 2, 1}});
  for (index_t stride : {1, 2, 3})
    for (index_t padding : {0, 1, 2})
      for (index_t kernel : {1, 2, 3, 5})
        all.push_back({2, {7, 6, 3, 4, kernel, std::min<index_t>(kernel, 3), stride, padding}});
  all.push_back({1, {0, 0, 3, 4, 1, 1, 1, 1}});     // all border
  all.push_back({2, {33, 17, 5, 3, 3, 3, 1, 1}});   // tiles with a rest
  all.push_back({1, {70, 70, 7, 18, 3, 3, 1, 1}});  // several bands
  all.push_back({1, {70, 70, 7, 2, 5, 5, 2, 2}});
  all.push_back({2, {28, 28, 1, 16, 3, 3, 1, 1}});  // the models'
  all.push_back({2, {14, 14, 16, 32, 3, 3, 2, 1}});
  all.push_back({2, {14, 14, 16, 32, 1, 1, 2, 0}});
  all.push_back({2, {7, 7, 64, 64, 3, 3, 1, 1}});
  return all;
}

template <class Scalar>
struct Case {
  Sizes z;
  std::vector<Scalar> x, W, b, dy;

  explicit Case(const Sizes& sizes) : z(sizes) {
    x = random_values<Scalar>(1, z.B * z.s.inputs());
    W = random_values<Scalar>(2, z.s.filters * z.s.kernel());
    b = random_values<Scalar>(3, z.s.filters);
    dy = random_values<Scalar>(4, z.B * z.s.outputs());
  }
  Case magnitude() const {
    Case c = *this;
    for (auto* values : {&c.x, &c.W, &c.b, &c.dy})
      for (Scalar& v : *values) v = Scalar(std::abs(double(v)));
    return c;
  }
};

/// Two sums of n products in any order, each off by at most n u sum |a b| (Higham 2002, section 3.1), from the sums of
/// the magnitudes.
template <class Scalar>
std::vector<double> bound(const std::vector<Scalar>& sums, index_t n) {
  std::vector<double> all;
  for (Scalar sum : sums) all.push_back(unit_roundoff<Scalar> * 2 * double(n + 2) * double(sum));
  return all;
}

template <class Scalar>
void check(Context& context, const Sizes& z, Placement p) {
  SCOPED_TRACE(text(z, p));
  const Case<Scalar> c(z);
  const Conv2dShape& s = z.s;
  const Placed<Scalar> x(c.x, z.B, s.inputs(), p), W(c.W, s.filters, s.kernel(), p), dy(c.dy, z.B, s.outputs(), p),
      y(z.B, s.outputs(), p), y_biased(z.B, s.outputs(), p), dx(z.B, s.inputs(), p), dW(s.filters, s.kernel(), p),
      dW_alone(s.filters, s.kernel(), p);
  const Vector<Scalar> b = to_device(c.b, p.offset), none,
                       db = to_device(std::vector<Scalar>(s.filters, Scalar(7)), p.offset);
  conv2d_forward(context, s, x.matrix(), W.matrix(), none, y.matrix());
  conv2d_forward(context, s, x.matrix(), W.matrix(), b, y_biased.matrix());
  conv2d_backward_input(context, s, dy.matrix(), W.matrix(), dx.matrix());
  conv2d_backward_weights(context, s, x.matrix(), dy.matrix(), dW.matrix(), db);
  conv2d_backward_weights(context, s, x.matrix(), dy.matrix(), dW_alone.matrix(), none);
  context.exec().fence();
  for (const auto* written : {&y, &y_biased, &dx, &dW, &dW_alone}) EXPECT_TRUE(written->surroundings_untouched());
  const std::vector<Scalar> no_bias;
  const auto y_expected = reference::conv2d_forward(s, c.x, c.W, no_bias, z.B);
  const auto y_biased_expected = reference::conv2d_forward(s, c.x, c.W, c.b, z.B);
  const auto dx_expected = reference::conv2d_backward_input(s, c.dy, c.W, z.B);
  const auto [dW_expected, db_expected] = reference::conv2d_backward_weights(s, c.x, c.dy, z.B);
  EXPECT_TRUE(same_bits(to_host(db), db_expected));
  if (context.backend(Kernel::conv2d) == Backend::portable || !std::is_same_v<Scalar, float>) {
    EXPECT_TRUE(same_bits(y.values(), y_expected));
    EXPECT_TRUE(same_bits(y_biased.values(), y_biased_expected));
    EXPECT_TRUE(same_bits(dx.values(), dx_expected));
    EXPECT_TRUE(same_bits(dW.values(), dW_expected));
    EXPECT_TRUE(same_bits(dW_alone.values(), dW_expected));
  } else {
    const auto m = c.magnitude();
    const auto y_sums = reference::conv2d_forward(s, m.x, m.W, m.b, z.B);
    const auto dx_sums = reference::conv2d_backward_input(s, m.dy, m.W, z.B);
    const auto dW_sums = reference::conv2d_backward_weights(s, m.x, m.dy, z.B).first;
    EXPECT_TRUE(within(y.values(), y_expected, bound(y_sums, s.kernel())));
    EXPECT_TRUE(within(y_biased.values(), y_biased_expected, bound(y_sums, s.kernel())));
    EXPECT_TRUE(within(dx.values(), dx_expected, bound(dx_sums, s.kernel_rows * s.kernel_columns * s.filters)));
    const index_t pixels = z.B * s.out_rows() * s.out_columns();
    EXPECT_TRUE(within(dW.values(), dW_expected, bound(dW_sums, pixels)));
    EXPECT_TRUE(within(dW_alone.values(), dW_expected, bound(dW_sums, pixels)));
  }
}

template <class Scalar>
void check_all(Backend backend) {
  Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
  for (const Sizes& z : all_sizes())
    for (Placement p : placements) check<Scalar>(context, z, p);
}

TEST(conv2d, portable_float_is_the_reference_bit_for_bit) { check_all<float>(Backend::portable); }
TEST(conv2d, portable_double_is_the_reference_bit_for_bit) { check_all<double>(Backend::portable); }
TEST(conv2d, portable_bfloat16_is_the_reference_bit_for_bit) { check_all<bfloat16>(Backend::portable); }
TEST(conv2d, portable_float16_is_the_reference_bit_for_bit) { check_all<float16>(Backend::portable); }
TEST(conv2d, default_backend_float_agrees_with_the_reference) { check_all<float>(Backend::automatic); }

}  // namespace
}  // namespace partita::kernels::test
