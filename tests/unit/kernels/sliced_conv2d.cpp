// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>

#include <partita/core/error.hpp>
#include <partita/core/tree.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

// A convolution of a slice of the rows of images has the numbers that its rows have in the whole images.

namespace partita::kernels::test::sliced_conv2d_tests {
namespace {

constexpr index_t B = 2;

/// Strides, kernels and paddings that leave nothing out, and images that are slices themselves.
std::vector<Conv2dShape> wholes() {
  std::vector<Conv2dShape> all = {{9, 5, 2, 3, 3, 3, 2, 1, 2, -1}, {8, 4, 9, 2, 3, 1, 1, 0, -2, 1}};
  for (index_t stride : {1, 2, 3})
    for (index_t padding : {0, 1, 2})
      for (index_t kernel : {1, 2, 3, 5})
        all.push_back({7, 5, 3, 5, kernel, std::min<index_t>(kernel, 3), stride, padding});
  return all;
}

std::string text(const Conv2dShape& s, Slice in, Slice out) {
  const auto n = [](index_t value) { return " " + std::to_string(value); };
  return "rows" + n(s.rows) + " kernel" + n(s.kernel_rows) + " stride" + n(s.stride) + " padding" + n(s.padding) +
         " in" + n(in.offset) + " to" + n(in.end()) + " out" + n(out.offset) + " to" + n(out.end());
}

std::vector<Slice> slices(index_t global) {
  std::vector<Slice> all;
  for (index_t first = 0; first < global; ++first)
    for (index_t end = first + 1; end <= global; ++end) all.push_back({first, end - first, global});
  return all;
}

bool sees(const Conv2dShape& s, index_t output, index_t row) {
  const index_t tap = row - (output * s.stride - s.above);
  return tap >= 0 && tap < s.kernel_rows;
}

/// From the first to the last of [0, n) for which is(i); none of them where there is none.
template <class Is>
Slice range_of(index_t n, const Is& is) {
  index_t first = 0, end = 0;
  for (index_t i = n - 1; i >= 0; --i)
    if (is(i)) first = i;
  for (index_t i = 0; i < n; ++i)
    if (is(i)) end = i + 1;
  return {first, end - first, n};
}
Slice rows_seen(const Conv2dShape& s, Slice out) {
  return range_of(s.rows, [&](index_t row) {
    for (index_t o = out.offset; o < out.end(); ++o)
      if (sees(s, o, row)) return true;
    return false;
  });
}
Slice outputs_that_see(const Conv2dShape& s, Slice in) {
  return range_of(s.out_rows(), [&](index_t output) {
    for (index_t row = in.offset; row < in.end(); ++row)
      if (sees(s, output, row)) return true;
    return false;
  });
}
Slice grown(Slice slice, index_t before, index_t after) {
  const index_t first = std::max<index_t>(0, slice.offset - before);
  return {first, std::min(slice.global, slice.end() + after) - first, slice.global};
}

/// Those rows of images (B, rows.global, width).
template <class Scalar>
std::vector<Scalar> take(const std::vector<Scalar>& images, index_t width, Slice rows) {
  std::vector<Scalar> some;
  for (index_t at = 0; at < index_t(images.size()); ++at)
    if (rows.contains(at / width % rows.global)) some.push_back(images[at]);
  return some;
}

/// Images whose other rows are `filler`.
template <class Scalar>
std::vector<Scalar> only(std::vector<Scalar> images, index_t width, Slice rows, float filler) {
  for (index_t at = 0; at < index_t(images.size()); ++at)
    if (!rows.contains(at / width % rows.global)) images[at] = Scalar(filler);
  return images;
}

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// A whole convolution, and its slices by a context's backend.
template <class Scalar>
struct Whole {
  using Sum = accumulate_t<Scalar>;
  Context& context;
  Conv2dShape s;
  index_t batch = B;
  index_t in_width = s.columns * s.channels, out_width = s.out_columns() * s.filters;
  std::vector<Scalar> x = random_values<Scalar>(1, batch*s.inputs()),
                      W = random_values<Scalar>(2, s.filters*s.kernel()), b = random_values<Scalar>(3, s.filters),
                      dy = random_values<Scalar>(4, batch*s.outputs());

  Placed<Scalar> weights() const { return {W, s.filters, s.kernel()}; }
  std::vector<Scalar> forward(Slice in, Slice out, const std::vector<Scalar>& images) const {
    const Conv2dShape part = conv2d_slice(s, in, out);
    EXPECT_EQ(part.out_rows(), out.extent);
    const Placed<Scalar> x_here(take(images, in_width, in), batch, part.inputs()), W_here = weights(),
                                                                                   y(batch, part.outputs());
    conv2d_forward(context, part, x_here.matrix(), W_here.matrix(), to_device(b), y.matrix());
    context.exec().fence();
    return y.values();
  }
  std::vector<Scalar> backward_input(Slice in, Slice out, const std::vector<Scalar>& slopes) const {
    const Conv2dShape part = conv2d_slice(s, in, out);
    const Placed<Scalar> dy_here(take(slopes, out_width, out), batch, part.outputs()), W_here = weights(),
                                                                                       dx(batch, part.inputs());
    conv2d_backward_input(context, part, dy_here.matrix(), W_here.matrix(), dx.matrix());
    context.exec().fence();
    return dx.values();
  }
  std::pair<std::vector<Sum>, std::vector<Sum>> backward_weights(Slice in, Slice out) const {
    const Conv2dShape part = conv2d_slice(s, in, out);
    const Placed<Scalar> x_here(take(x, in_width, in), batch, part.inputs()),
        dy_here(take(dy, out_width, out), batch, part.outputs());
    const Placed<Sum> dW(s.filters, s.kernel());
    const Vector<Sum> db("db", s.filters);
    conv2d_backward_weights<Scalar>(context, part, {}, Store::overwrite, x_here.matrix(), dy_here.matrix(), dW.matrix(),
                                    db);
    context.exec().fence();
    return {dW.values(), to_host(db)};
  }

  Whole magnitude() const {
    Whole m = *this;
    for (auto* values : {&m.x, &m.W, &m.b, &m.dy})
      for (Scalar& v : *values) v = Scalar(std::abs(double(v)));
    return m;
  }
  bool exact() const { return !std::is_same_v<Scalar, float> || context.backend(Kernel::conv2d) == Backend::portable; }
};

/// The same bits, or within the bound of two sums of n products in any order (Higham 2002, section 3.1) from the sums
/// of magnitudes.
template <class Scalar>
::testing::AssertionResult agree(bool exact, const std::vector<Scalar>& got, const std::vector<Scalar>& expected,
                                 index_t n, const std::vector<Scalar>& magnitudes) {
  if (exact) return same_bits(got, expected);
  std::vector<double> bound;
  for (Scalar sum : magnitudes) bound.push_back(2 * double(n + 2) * unit_roundoff<Scalar> * double(sum));
  return within(got, expected, bound);
}

Context context_of(Backend backend) {
  return Context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
}

template <class Scalar>
class sliced_conv2d_of : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16>;
TYPED_TEST_SUITE(sliced_conv2d_of, Scalars);

/// Rows that a slice has and leaves out are not read: they are NaN.
TYPED_TEST(sliced_conv2d_of, rows_that_outputs_see_gives_the_outputs_of_the_whole) {
  for (Backend backend : backends()) {
    Context context = context_of(backend);
    for (const Conv2dShape& s : wholes()) {
      const Whole<TypeParam> w{context, s};
      const Whole<TypeParam> m = w.magnitude();
      const auto y = reference::conv2d_forward(s, w.x, w.W, w.b, B),
                 sums = reference::conv2d_forward(s, m.x, m.W, m.b, B);
      for (Slice out : slices(s.out_rows())) {
        const Slice seen = rows_seen(s, out);
        for (const Slice in : {seen, grown(seen, 1, 2), grown(seen, 0, 1)})
          EXPECT_TRUE(agree(w.exact(), w.forward(in, out, only(w.x, w.in_width, seen, nan)), take(y, w.out_width, out),
                            s.kernel(), take(sums, w.out_width, out)))
              << text(s, in, out);
      }
    }
  }
}

/// Outputs that see nothing of a slice do not show in it: they are NaN.
TYPED_TEST(sliced_conv2d_of, outputs_that_see_rows_gives_the_gradients_of_the_whole) {
  for (Backend backend : backends()) {
    Context context = context_of(backend);
    for (const Conv2dShape& s : wholes()) {
      const Whole<TypeParam> w{context, s};
      const Whole<TypeParam> m = w.magnitude();
      const auto dx = reference::conv2d_backward_input(s, w.dy, w.W, B),
                 sums = reference::conv2d_backward_input(s, m.dy, m.W, B);
      for (Slice in : slices(s.rows)) {
        const Slice see = outputs_that_see(s, in);
        if (see.extent == 0) continue;
        for (const Slice out : {see, grown(see, 1, 2)})
          EXPECT_TRUE(agree(w.exact(), w.backward_input(in, out, only(w.dy, w.out_width, see, nan)),
                            take(dx, w.in_width, in), s.kernel_rows * s.kernel_columns * s.filters,
                            take(sums, w.in_width, in)))
              << text(s, in, out);
      }
    }
  }
}

/// Any rows and any outputs: the whole with zeros for what is not there.
TYPED_TEST(sliced_conv2d_of, anything_is_the_whole_with_zeros_elsewhere) {
  for (Backend backend : backends()) {
    Context context = context_of(backend);
    std::size_t at = 0;
    for (const Conv2dShape& s : wholes()) {
      const Whole<TypeParam> all{context, s};
      const auto ins = slices(s.rows), outs = slices(s.out_rows());
      for (std::size_t i = 0; i < 12; ++i) {
        const Slice in = ins[7 * ++at % ins.size()], out = outs[5 * at % outs.size()];
        SCOPED_TRACE(text(s, in, out));
        Whole<TypeParam> w = all;
        w.x = only(w.x, w.in_width, in, 0);
        w.dy = only(w.dy, w.out_width, out, 0);
        const Whole<TypeParam> m = w.magnitude();
        EXPECT_TRUE(agree(w.exact(), w.forward(in, out, w.x),
                          take(reference::conv2d_forward(s, w.x, w.W, w.b, B), w.out_width, out), s.kernel(),
                          take(reference::conv2d_forward(s, m.x, m.W, m.b, B), w.out_width, out)));
        EXPECT_TRUE(agree(w.exact(), w.backward_input(in, out, w.dy),
                          take(reference::conv2d_backward_input(s, w.dy, w.W, B), w.in_width, in),
                          s.kernel_rows * s.kernel_columns * s.filters,
                          take(reference::conv2d_backward_input(s, m.dy, m.W, B), w.in_width, in)));
        const auto sums = [&](const auto& of) {
          return reference::conv2d_backward_weights(s, of.x, of.dy, B, out.offset, out.end());
        };
        const auto [dW, db] = w.backward_weights(in, out);
        EXPECT_TRUE(agree(w.exact(), dW, sums(w).first, B * out.extent * s.out_columns(), sums(m).first));
        EXPECT_TRUE(same_bits(db, sums(w).second));
      }
    }
  }
}

/// What ranks with some of the rows bring of their sums, added as the tree says.
TYPED_TEST(sliced_conv2d_of, rows_brings_nodes_that_give_the_bits_of_the_whole) {
  using Scalar = TypeParam;
  using Sum = accumulate_t<Scalar>;
  const std::vector<std::vector<index_t>> cuts = {{0, 7, 13},       {0, 1, 13},           {0, 5, 6, 13}, {0, 4, 9, 13},
                                                  {0, 2, 7, 8, 13}, {0, 1, 3, 6, 10, 13}, {0, 13}};
  const std::vector<Exec> threads = instances();
  std::size_t at = 0;
  for (const Conv2dShape& s : {Conv2dShape{13, 5, 3, 9, 3, 3, 1, 1}, Conv2dShape{26, 7, 2, 3, 3, 2, 2, 1},
                               Conv2dShape{39, 4, 5, 2, 5, 3, 3, 1}, Conv2dShape{25, 6, 3, 4, 1, 1, 2, 0}})
    for (const index_t batch : {3, 18})
      for (const auto& cut : cuts) {
        ASSERT_EQ(s.out_rows(), 13);
        const Exec& exec = threads[++at % threads.size()];
        Context context(exec);  // fast: nodes are portable all the same
        const Whole<Scalar> w{context, s, batch};
        const index_t F = s.filters, kernel = s.kernel();
        std::vector<Node> nodes;
        std::vector<std::vector<Sum>> values;
        for (std::size_t rank = 0; rank + 1 < cut.size(); ++rank) {
          const Slice out{cut[rank], cut[rank + 1] - cut[rank], 13}, in = rows_seen(s, out);
          std::vector<Node> own = tree_cover(13, out.offset, out.end());
          nodes.insert(nodes.end(), own.begin(), own.end());
          for (Node& node : own) node = {node.lo - out.offset, node.hi - out.offset};
          const Conv2dShape part = conv2d_slice(s, in, out);
          const Placed<Scalar> x(take(w.x, w.in_width, in), batch, part.inputs(), {1, 0}),
              dy(take(w.dy, w.out_width, out), batch, part.outputs(), {0, 2});
          const Placed<Sum> sums(std::ssize(own), F * (kernel + 1), {3, 5}), alone(std::ssize(own), F * kernel);
          conv2d_backward_weights_nodes<Scalar>(context, part, own, x.matrix(), dy.matrix(), sums.matrix());
          conv2d_backward_weights_nodes<Scalar>(context, part, own, x.matrix(), dy.matrix(), alone.matrix());
          exec.fence();
          EXPECT_TRUE(sums.surroundings_untouched() && alone.surroundings_untouched());
          const auto all = sums.values(), without = alone.values();
          for (index_t k = 0; k < std::ssize(own); ++k) {
            const auto from = all.begin() + k * F * (kernel + 1);
            values.emplace_back(from, from + F * (kernel + 1));
            EXPECT_TRUE(std::equal(from, from + F * kernel, without.begin() + k * F * kernel));
          }
        }
        for (const Merge& merge : tree_merges(13, nodes))
          for (std::size_t i = 0; i < values[merge.into].size(); ++i) values[merge.into][i] += values[merge.from][i];
        const Placed<Scalar> x(w.x, batch, s.inputs()), dy(w.dy, batch, s.outputs());
        const Placed<Sum> dW(F, kernel);
        const Vector<Sum> db("db", F);
        conv2d_backward_weights<Scalar>(context, s, {13}, Store::overwrite, x.matrix(), dy.matrix(), dW.matrix(), db);
        exec.fence();
        auto expected = dW.values();
        for (Sum value : to_host(db)) expected.push_back(value);
        EXPECT_TRUE(same_bits(values.front(), expected)) << cut.size() - 1 << " parts, stride " << s.stride;
      }
}

TEST(sliced_conv2d, sums_of_no_images_are_zero_and_wrong_nodes_are_refused) {
  Context context;
  const Conv2dShape s{6, 4, 3, 5, 3, 3, 1, 1};
  const Placed<float> x(2, s.inputs()), dy(2, s.outputs()), none(0, s.inputs()), no_dy(0, s.outputs());
  const Placed<float> sums(std::vector<float>(2 * 140, 7.0f), 2, 140);
  const auto run = [&](std::array<Node, 2> nodes, const auto& images, const auto& slopes, const Matrix<float>& to) {
    conv2d_backward_weights_nodes<float>(context, s, nodes, images.matrix(), slopes.matrix(), to);
  };
  run({{{0, 3}, {3, 6}}}, none, no_dy, sums.matrix());
  context.exec().fence();
  EXPECT_EQ(sums.values(), std::vector<float>(2 * 140));
  const auto refused = [&](std::array<Node, 2> nodes, const Matrix<float>& to) {
    return caught<ShapeError>([&] { run(nodes, x, dy, to); });
  };
  EXPECT_EQ(refused({{{0, 3}, {3, 7}}}, sums.matrix()),
            "conv2d_backward_weights_nodes: a node over leaves 3 to 7: expected some of the 6 that are here");
  EXPECT_NE(refused({{{0, 3}, {3, 3}}}, sums.matrix()).find("leaves 3 to 3"), std::string::npos);
  EXPECT_EQ(refused({{{0, 3}, {3, 6}}}, Matrix<float>("sums", 1, 140)),
            "conv2d_backward_weights_nodes: sums has 1 rows, the list has 2 nodes: expected a row for each");
  EXPECT_EQ(
      refused({{{0, 3}, {3, 6}}}, Matrix<float>("sums", 2, 136)),
      "conv2d_backward_weights_nodes: sums has 136 columns, dW with db has 140 numbers: expected (nodes, F kernel) "
      "or (nodes, F kernel + F)");
}

}  // namespace
}  // namespace partita::kernels::test::sliced_conv2d_tests
