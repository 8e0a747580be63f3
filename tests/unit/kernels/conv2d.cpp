// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::conv2d_tests {
namespace {

struct Sizes {
  index_t B;
  Conv2dShape s;
};

std::string text(const Sizes& z, Placement p) {
  const auto n = [](index_t value) { return " " + std::to_string(value); };
  return "B" + n(z.B) + " image" + n(z.s.rows) + n(z.s.columns) + n(z.s.channels) + " filters" + n(z.s.filters) +
         " kernel" + n(z.s.kernel_rows) + n(z.s.kernel_columns) + " stride" + n(z.s.stride) + " padding" +
         n(z.s.padding) + " above" + n(z.s.above) + " below" + n(z.s.below) + " offset" + n(p.offset) + " pad" +
         n(p.pad);
}

/// Channels and filters at the sizes where kernels go wrong; kernels, strides and paddings that leave nothing out:
/// larger than the padding, smaller than the stride (pixels that no output sees), as large as the image.
std::vector<Sizes> small_sizes() {
  std::vector<Sizes> all;
  for (index_t channels : odd_sizes)
    for (index_t filters : odd_sizes) all.push_back({2, {3, 4, channels, filters, 3, 2, 1, 1}});
  for (index_t B : {0, 1, 17, 33}) all.push_back({B, {4, 5, 3, 5, 3, 2, 2, 1}});
  for (index_t stride : {1, 2, 3})
    for (index_t padding : {0, 1, 2})
      for (index_t kernel : {1, 2, 5})
        all.push_back({2, {7, 6, 3, 4, kernel, std::min<index_t>(kernel, 3), stride, padding}});
  all.push_back({1, {0, 0, 3, 4, 1, 1, 1, 1}});  // all border
  for (index_t above : {-3, -1, 0, 1, 4})        // rows left out, and zeros above or below alone
    for (index_t below : {-2, 0, 3})
      for (index_t stride : {1, 2, 3})
        if (9 + above + below >= 3) all.push_back({2, {9, 6, 3, 4, 3, 3, stride, 1, above, below}});
  all.push_back({2, {2, 6, 3, 4, 3, 3, 1, 1, -3, 5}});  // the whole image left out
  return all;
}

/// Tiles with a rest, several bands, and the models' layers.
const std::vector<Sizes> large_sizes = {
    {2, {33, 17, 5, 3, 3, 3, 1, 1}},  {1, {70, 70, 7, 18, 3, 3, 1, 1}},        {1, {70, 70, 7, 2, 5, 5, 2, 2}},
    {2, {28, 28, 1, 16, 3, 3, 1, 1}}, {1, {14, 14, 16, 32, 3, 3, 2, 1}},       {1, {14, 14, 16, 32, 1, 1, 2, 0}},
    {1, {7, 7, 32, 64, 3, 3, 1, 1}},  {1, {70, 70, 7, 18, 3, 3, 1, 1, -5, 2}}, {1, {70, 70, 7, 2, 5, 5, 2, 0, 3, -4}}};

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
  using Sum = accumulate_t<Scalar>;
  const Case<Scalar> c(z);
  const Conv2dShape& s = z.s;
  const Placed<Scalar> x(c.x, z.B, s.inputs(), p), W(c.W, s.filters, s.kernel(), p), dy(c.dy, z.B, s.outputs(), p),
      y(z.B, s.outputs(), p), y_biased(z.B, s.outputs(), p), dx(z.B, s.inputs(), p);
  const Placed<Sum> dW(s.filters, s.kernel(), p), dW_alone(s.filters, s.kernel(), p);
  const Vector<Scalar> b = to_device(c.b, p.offset), none;
  const Vector<Sum> db = to_device(std::vector<Sum>(s.filters, Sum(7)), p.offset);
  conv2d_forward(context, s, x.matrix(), W.matrix(), none, y.matrix());
  conv2d_forward(context, s, x.matrix(), W.matrix(), b, y_biased.matrix());
  conv2d_backward_input(context, s, dy.matrix(), W.matrix(), dx.matrix());
  conv2d_backward_weights<Scalar>(context, s, {}, Store::overwrite, x.matrix(), dy.matrix(), dW.matrix(), db);
  conv2d_backward_weights<Scalar>(context, s, {}, Store::overwrite, x.matrix(), dy.matrix(), dW_alone.matrix(), {});
  context.exec().fence();
  for (const auto* written : {&y, &y_biased, &dx}) EXPECT_TRUE(written->surroundings_untouched());
  for (const auto* written : {&dW, &dW_alone}) EXPECT_TRUE(written->surroundings_untouched());
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
void check_small(Backend backend) {
  Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
  for (const Sizes& z : small_sizes())
    for (Placement p : placements) check<Scalar>(context, z, p);
}

TEST(conv2d, portable_float_is_the_reference_bit_for_bit) { check_small<float>(Backend::portable); }
TEST(conv2d, portable_double_is_the_reference_bit_for_bit) { check_small<double>(Backend::portable); }
TEST(conv2d, portable_bfloat16_is_the_reference_bit_for_bit) { check_small<bfloat16>(Backend::portable); }
TEST(conv2d, portable_float16_is_the_reference_bit_for_bit) { check_small<float16>(Backend::portable); }
TEST(conv2d, default_backend_float_agrees_with_the_reference) { check_small<float>(Backend::automatic); }

TEST(conv2d, large_images_agree_in_any_backend) {
  for (Backend backend : backends()) {
    Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
    for (const Sizes& z : large_sizes) check<float>(context, z, {});
  }
}

/// Images as a function of their own alone, weight gradients of the whole: the same bits on any number of threads.
TEST(conv2d, bits_depend_on_own_inputs_alone) {
  const Conv2dShape s{9, 8, 5, 21, 3, 3, 2, 1};
  const index_t B = 19;
  const Case<float> c({B, s});
  const auto run = [&](const Exec& exec, index_t first, index_t images) {
    Context context(exec, {.backend = Backend::automatic, .deterministic = true, .per_kernel = {}});
    const auto rows = [&](const std::vector<float>& all, index_t length) {
      return Placed<float>(std::vector<float>(all.begin() + first * length, all.begin() + (first + images) * length),
                           images, length);
    };
    const Placed<float> x = rows(c.x, s.inputs()), dy = rows(c.dy, s.outputs()), W(c.W, s.filters, s.kernel()),
                        y(images, s.outputs()), dx(images, s.inputs()), dW(s.filters, s.kernel());
    const Vector<float> db = to_device(c.b);
    conv2d_forward(context, s, x.matrix(), W.matrix(), to_device(c.b), y.matrix());
    conv2d_backward_input(context, s, dy.matrix(), W.matrix(), dx.matrix());
    conv2d_backward_weights<float>(context, s, {}, Store::overwrite, x.matrix(), dy.matrix(), dW.matrix(), db);
    exec.fence();
    return std::tuple(y.values(), dx.values(), dW.values(), to_host(db));
  };
  const auto [y, dx, dW, db] = run(Exec(), 0, B);
  for (const Exec& exec : instances()) {
    EXPECT_EQ(run(exec, 0, B), std::tuple(y, dx, dW, db));
    for (index_t first : {0, 1, 7}) {
      const auto [y_part, dx_part, dW_part, db_part] = run(exec, first, 5);
      EXPECT_TRUE(std::equal(y_part.begin(), y_part.end(), y.begin() + first * s.outputs()));
      EXPECT_TRUE(std::equal(dx_part.begin(), dx_part.end(), dx.begin() + first * s.inputs()));
    }
  }
}

/// A convolution is linear in each operand: central differences have no error of their own, and h = 1 loses nothing.
TEST(conv2d, gradients_are_the_slopes_of_the_outputs) {
  for (const Conv2dShape& s : {Conv2dShape{5, 4, 2, 3, 3, 2, 1, 1}, Conv2dShape{6, 5, 2, 3, 3, 3, 2, 1}}) {
    const Case<double> c({2, s});
    const Placed<double> x(c.x, 2, s.inputs()), W(c.W, s.filters, s.kernel()), dy(c.dy, 2, s.outputs()),
        dx(2, s.inputs()), dW(s.filters, s.kernel());
    const Vector<double> db = to_device(c.b);
    Context context;
    conv2d_backward_input(context, s, dy.matrix(), W.matrix(), dx.matrix());
    conv2d_backward_weights<double>(context, s, {}, Store::overwrite, x.matrix(), dy.matrix(), dW.matrix(), db);
    const auto value = [&](const Case<double>& at) {
      const Placed<double> y(2, s.outputs());
      conv2d_forward(context, s, Placed<double>(at.x, 2, s.inputs()).matrix(),
                     Placed<double>(at.W, s.filters, s.kernel()).matrix(), to_device(at.b), y.matrix());
      context.exec().fence();
      double sum = 0;
      const auto values = y.values();
      for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] * at.dy[i];
      return sum;
    };
    const double rounding = 1e4 * unit_roundoff<double>;  // sums of some 200 products of the order of 10
    const auto check_operand = [&](std::vector<double> Case<double>::*operand, const std::vector<double>& gradient) {
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        Case<double> up = c, down = c;
        (up.*operand)[i] += 1;
        (down.*operand)[i] -= 1;
        EXPECT_NEAR(gradient[i], (value(up) - value(down)) / 2, rounding) << "element " << i;
      }
    };
    check_operand(&Case<double>::x, dx.values());
    check_operand(&Case<double>::W, dW.values());
    check_operand(&Case<double>::b, to_host(db));
  }
}

/// What was there and the sum, in any backend: the sum that overwrites, added.
template <class Scalar>
void check_accumulated(Backend backend) {
  using Sum = accumulate_t<Scalar>;
  for (const Sizes& z :
       {Sizes{3, {9, 8, 5, 21, 3, 3, 2, 1}}, Sizes{2, {8, 8, 16, 8, 1, 1, 2, 0}}, Sizes{0, {4, 4, 3, 5}}})
    for (Placement p : placements) {
      SCOPED_TRACE(text(z, p));
      const Case<Scalar> c(z);
      const Conv2dShape& s = z.s;
      const Placed<Scalar> x(c.x, z.B, s.inputs(), p), dy(c.dy, z.B, s.outputs(), p);
      const auto there = random_values<Sum>(5, s.filters * s.kernel()), there_b = random_values<Sum>(6, s.filters);
      Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
      const auto run = [&](Store store) {
        const Placed<Sum> dW(there, s.filters, s.kernel(), p);
        const auto db = to_device(there_b, p.offset);
        conv2d_backward_weights<Scalar>(context, s, {}, store, x.matrix(), dy.matrix(), dW.matrix(), db);
        context.exec().fence();
        EXPECT_TRUE(dW.surroundings_untouched());
        return std::pair(dW.values(), to_host(db));
      };
      auto [dW, db] = run(Store::overwrite);
      for (std::size_t i = 0; i < dW.size(); ++i) dW[i] = there[i] + dW[i];
      for (std::size_t i = 0; i < db.size(); ++i) db[i] = there_b[i] + db[i];
      const auto added = run(Store::accumulate);
      EXPECT_TRUE(same_bits(added.first, dW));
      EXPECT_TRUE(same_bits(added.second, db));
    }
}

TEST(conv2d, weight_gradients_are_added_to_what_is_there) {
  for (Backend backend : backends()) check_accumulated<float>(backend);
  check_accumulated<double>(Backend::portable);
  check_accumulated<bfloat16>(Backend::portable);
}

TEST(conv2d, a_weight_that_is_nan_shows_in_its_filter) {
  for (Backend backend : backends())
    for (const Sizes& z : {Sizes{3, {9, 8, 5, 21, 3, 3, 2, 1}}, Sizes{2, {8, 8, 16, 8, 1, 1, 1, 0}}}) {
      Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
      const Conv2dShape& s = z.s;
      Case<float> c(z);
      // Of filter 1, in the middle: no output has it beyond the image's edge.
      c.W[std::size_t(s.kernel() + s.kernel() / 2)] = std::numeric_limits<float>::quiet_NaN();
      const Placed<float> x(c.x, z.B, s.inputs()), W(c.W, s.filters, s.kernel()), y(z.B, s.outputs());
      conv2d_forward(context, s, x.matrix(), W.matrix(), to_device(c.b), y.matrix());
      context.exec().fence();
      const auto values = y.values();
      for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(std::isnan(values[i]), index_t(i) % s.filters == 1) << text(z, {}) << " element " << i;
    }
}

TEST(conv2d, shape_errors_name_operand_and_extents) {
  Context context;
  const Conv2dShape s{4, 4, 3, 5, 3, 3, 1, 1};
  const Matrix<float> x("x", 2, 48), W("W", 5, 27), y("y", 2, 80), other("other", 3, 48);
  const Vector<float> b("b", 5), wrong("wrong", 4);
  EXPECT_EQ(caught<ShapeError>([&] { conv2d_forward(context, s, y, W, b, y); }),
            "conv2d_forward: x has 80 columns, an image has 48 numbers: expected rows x columns x channels of them");
  EXPECT_EQ(caught<ShapeError>([&] { conv2d_forward(context, s, x, x, b, y); }),
            "conv2d_forward: W has 2 rows, the shape has 5 filters: expected (F, kernel rows x kernel columns x C)");
  EXPECT_EQ(caught<ShapeError>([&] { conv2d_forward(context, s, x, W, wrong, y); }),
            "conv2d_forward: b has 4 elements, the shape has 5 filters: expected one for each filter, or none");
  EXPECT_EQ(caught<ShapeError>([&] { conv2d_backward_input(context, s, y, W, other); }),
            "conv2d_backward_input: dy has 2 rows, dx has 3 rows: expected one for each image");
  EXPECT_EQ(caught<ShapeError>([&] { conv2d_backward_weights<float>(context, s, {}, Store::overwrite, x, y, x, b); }),
            "conv2d_backward_weights: dW has 2 rows, the shape has 5 filters: expected (F, kernel rows x kernel "
            "columns x C)");
  Conv2dShape large = s;
  large.kernel_rows = 7;
  EXPECT_EQ(caught<ShapeError>([&] { conv2d_forward(context, large, x, W, b, y); }),
            "conv2d_forward: a kernel of 7 x 3, stride 1, images of 4 x 4, padding 1, 3 channels, 5 filters: expected "
            "a kernel that fits the padded image");
  large.above = 0;
  large.below = -1;
  EXPECT_EQ(
      caught<ShapeError>([&] { conv2d_backward_input(context, large, y, W, x); }),
      "conv2d_backward_input: a kernel of 7 x 3, stride 1, images of 4 x 4, padding 1, rows 0 above and -1 below, 3 "
      "channels, 5 filters: expected a kernel that fits the padded image");
  large.stride = 0;
  EXPECT_NE(caught<ShapeError>([&] { conv2d_forward(context, large, x, W, b, y); }).find("stride 0, "),
            std::string::npos);
}

}  // namespace
}  // namespace partita::kernels::test::conv2d_tests
