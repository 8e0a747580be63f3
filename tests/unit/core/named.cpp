// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/named.hpp>

namespace partita {
namespace {

enum class Colour { red, green, blue };
constexpr Named<Colour> colours[] = {{"red", Colour::red}, {"green", Colour::green}};

TEST(named, a_value_has_its_word) {
  static_assert(name_of(colours, Colour::green) == "green");
  EXPECT_EQ(name_of(colours, Colour::red), "red");
  EXPECT_EQ(name_of(colours, Colour::blue), "?");
}

}  // namespace
}  // namespace partita
