// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/pool2d.hpp>
#include <partita/kernels/reference.hpp>

#include "image_parts.hpp"
#include "support.hpp"

// Pooling of some rows of images: every slice of small shapes against the plain loops over the whole.

namespace partita::kernels::test::pool2d_slices_tests {
namespace {

constexpr Pool2dShape padded{7, 4, 3, 3, 3, 2, 1};
static_assert(padded.above == 1 && padded.below == 1 && padded.out_rows() == 4);
// Rows 2 and 3 of the outputs read rows 3 to 6 and padding below; row 2 of the image is here, too.
static_assert(pool2d_slice(padded, {2, 5, 7}, {2, 2, 4}).rows == 5);
static_assert(pool2d_slice(padded, {2, 5, 7}, {2, 2, 4}).above == -1);
static_assert(pool2d_slice(padded, {2, 5, 7}, {2, 2, 4}).below == 1);
static_assert(pool2d_slice(padded, {2, 5, 7}, {2, 2, 4}).out_rows() == 2);
static_assert(pool2d_slice(padded, {2, 5, 7}, {2, 0, 4}).out_rows() == 0);
static_assert(pool2d_slice(padded, {4, 0, 7}, {1, 2, 4}).out_rows() == 2);  // reads nothing

/// All [begin, end) of [0, n), empty ones among them.
std::vector<Slice> slices(index_t n) {
  std::vector<Slice> all;
  for (index_t begin = 0; begin <= n; ++begin)
    for (index_t end = begin; end <= n; ++end) all.push_back({begin, end - begin, n});
  return all;
}

/// By trying every row of every window.
bool reaches(const Pool2dShape& s, index_t out, index_t in) {
  for (index_t i = 0; i < s.kernel_rows; ++i)
    if (out * s.stride - s.padding + i == in) return true;
  return false;
}

/// Whether b has all that some element of a is related to.
template <class Related>
bool covers(const Slice& a, const Slice& b, index_t n, const Related& related) {
  for (index_t i = a.offset; i < a.end(); ++i)
    for (index_t j = 0; j < n; ++j)
      if (related(i, j) && !b.contains(j)) return false;
  return true;
}

std::vector<Pool2dShape> shapes() {
  std::vector<Pool2dShape> all;
  for (const index_t kernel : {2, 3})
    for (const index_t stride : {1, 2, 3})
      for (const index_t padding : {0, 1}) all.push_back({6, 4, 3, kernel, kernel, stride, padding});
  all.push_back({6, 4, 3, 2, 3, 2, 1});
  return all;
}

std::string text(const Pool2dShape& s, const Slice& in, const Slice& out) {
  return "kernel " + std::to_string(s.kernel_rows) + " stride " + std::to_string(s.stride) + " padding " +
         std::to_string(s.padding) + " in " + std::to_string(in.offset) + " + " + std::to_string(in.extent) + " out " +
         std::to_string(out.offset) + " + " + std::to_string(out.extent);
}

template <class Scalar>
class pool2d_slices : public ::testing::Test {};
TYPED_TEST_SUITE(pool2d_slices, BlockScalars);

TYPED_TEST(pool2d_slices, have_the_bits_of_the_rows_of_the_whole) {
  using Scalar = TypeParam;
  constexpr index_t B = 2;
  const Exec exec = instances().back();
  int forward = 0, backward = 0;
  for (const Pool2dShape& s : shapes()) {
    auto x = random_values<Scalar>(1, B * s.inputs());
    for (Scalar& v : x) v = Scalar(std::round(2 * double(v)) / 2 - 1);  // several are equal, most negative
    const auto dy = random_values<Scalar>(2, B * s.outputs());
    const auto [y, winner] = reference::max_pool2d_forward(s, x, B);
    const auto dx = reference::max_pool2d_backward(s, dy, winner, B);
    const auto average = reference::average_pool2d_forward(s, x, B),
               daverage = reference::average_pool2d_backward(s, dy, B);
    const index_t in_pitch = s.columns * s.channels, out_pitch = s.out_columns() * s.channels;
    for (const Slice& in : slices(s.rows))
      for (const Slice& out : slices(s.out_rows())) {
        const Pool2dShape here = pool2d_slice(s, in, out);
        ASSERT_EQ(here.out_rows(), out.extent) << text(s, in, out);
        const auto in_rows = [&](const auto& of) { return image_rows(of, s.rows, in_pitch, in.offset, in.end()); };
        const auto out_rows = [&](const auto& of) {
          return image_rows(of, s.out_rows(), out_pitch, out.offset, out.end());
        };
        const Placement p = placements[std::size_t(in.offset + out.offset) % placements.size()];
        if (covers(out, in, s.rows, [&](index_t o, index_t i) { return reaches(s, o, i); })) {
          ++forward;
          const Placed<Scalar> x_at(in_rows(x), B, here.inputs(), p), y_at(B, here.outputs(), p),
              average_at(B, here.outputs(), p);
          const Placed<std::int32_t> winner_at(B, here.outputs(), p);
          max_pool2d_forward(exec, here, x_at.matrix(), y_at.matrix(), winner_at.matrix());
          average_pool2d_forward(exec, here, x_at.matrix(), average_at.matrix());
          exec.fence();
          ASSERT_TRUE(same_bits(y_at.values(), out_rows(y))) << text(s, in, out);
          ASSERT_TRUE(same_bits(winner_at.values(), out_rows(winner))) << text(s, in, out);
          ASSERT_TRUE(same_bits(average_at.values(), out_rows(average))) << text(s, in, out);
          ASSERT_TRUE(y_at.surroundings_untouched() && average_at.surroundings_untouched());
        }
        if (covers(in, out, s.out_rows(), [&](index_t i, index_t o) { return reaches(s, o, i); })) {
          ++backward;
          const Placed<Scalar> dy_at(out_rows(dy), B, here.outputs(), p), dx_at(B, here.inputs(), p),
              daverage_at(B, here.inputs(), p);
          const Placed<std::int32_t> winner_at(out_rows(winner), B, here.outputs(), p);
          max_pool2d_backward(exec, here, dy_at.matrix(), winner_at.matrix(), dx_at.matrix());
          average_pool2d_backward(exec, here, dy_at.matrix(), daverage_at.matrix());
          exec.fence();
          ASSERT_TRUE(same_bits(dx_at.values(), in_rows(dx))) << text(s, in, out);
          ASSERT_TRUE(same_bits(daverage_at.values(), in_rows(daverage))) << text(s, in, out);
          ASSERT_TRUE(dx_at.surroundings_untouched() && daverage_at.surroundings_untouched());
        }
      }
  }
  EXPECT_GT(forward, 1000);
  EXPECT_GT(backward, 1000);
}

TEST(pool2d_slices_padding, a_window_without_a_pixel_gives_zero_and_no_winner) {
  constexpr Pool2dShape s{2, 2, 1, 2, 2,
                          1, 0, 3, 2};  // rows of the outputs: from -3 and -2 nothing, ..., from 2 nothing
  static_assert(s.out_rows() == 6 && s.out_columns() == 1);
  const std::vector<float> x = {-4, -3, -2, -1};
  const Placed<float> x_at(x, 1, 4), y(1, 6), dy({100, 100, 1, 10, 20, 100}, 1, 6), dx(1, 4), average(1, 6);
  const Placed<std::int32_t> winner(1, 6);
  max_pool2d_forward(Exec(), s, x_at.matrix(), y.matrix(), winner.matrix());
  average_pool2d_forward(Exec(), s, x_at.matrix(), average.matrix());
  max_pool2d_backward(Exec(), s, dy.matrix(), winner.matrix(), dx.matrix());
  Exec().fence();
  EXPECT_EQ(y.values(), (std::vector<float>{0, 0, -3, -1, -1, 0}));
  EXPECT_EQ(winner.values(), (std::vector<std::int32_t>{-1, -1, 3, 3, 1, -1}));
  EXPECT_EQ(average.values(), (std::vector<float>{0, 0, -1.75, -2.5, -0.75, 0}));
  EXPECT_EQ(dx.values(), (std::vector<float>{0, 1, 0, 30}));
}

TEST(pool2d_slices_padding, that_of_columns_and_of_a_whole_is_at_most_half_the_kernel) {
  const Matrix<float> x("x", 1, 4), y("y", 1, 9);
  EXPECT_THROW(average_pool2d_forward(Exec(), {2, 2, 1, 2, 2, 1, 2, 0, 0}, x, y), ShapeError);
  EXPECT_THROW(average_pool2d_forward(Exec(), {2, 2, 1, 1, 2, 1, 1}, x, y), ShapeError);
  EXPECT_NO_THROW(average_pool2d_forward(Exec(), {2, 2, 1, 2, 2, 1, 1, 1, 1}, x, y));
}

}  // namespace
}  // namespace partita::kernels::test::pool2d_slices_tests
