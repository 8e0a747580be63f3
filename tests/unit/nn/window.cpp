// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/window.hpp>

#include <support/caught.hpp>

namespace partita::nn::window_tests {
namespace {

using ::partita::testing::caught;

TEST(window, finds_a_range_by_its_place_in_the_whole) {
  float part[10] = {};
  const Window<float> window(part, {100, 10});
  EXPECT_EQ(window.vector({103, 4}).data(), part + 3);
  EXPECT_EQ(window.matrix({104, 6}, 2, 3).data(), part + 4);
  EXPECT_EQ(window.window({101, 5}).vector({102, 1}).data(), part + 2);
}

// A unit without a bias asks for the range {0, 0} of any window.
TEST(window, has_room_for_nothing_everywhere) {
  float part[10] = {};
  const Window<float> window(part, {100, 10});
  for (const Range nothing : {Range{0, 0}, Range{104, 0}, Range{200, 0}})
    EXPECT_EQ(window.vector(nothing).extent(0), 0u);
}

TEST(window, refuses_what_it_does_not_cover) {
  float part[10] = {};
  const Window<float> window(part, {100, 10});
  for (const Range outside : {Range{99, 2}, Range{109, 2}, Range{0, 1}, Range{105, -1}})
    EXPECT_NE(caught<ShapeError>([&] { window.vector(outside); }).find("covers [100, 110)"), std::string::npos);
  EXPECT_NE(caught<ShapeError>([&] { window.matrix({104, 6}, 2, 2); }).find("6 elements, 2 x 2"), std::string::npos);
}

}  // namespace
}  // namespace partita::nn::window_tests
