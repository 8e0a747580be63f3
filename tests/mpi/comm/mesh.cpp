// SPDX-License-Identifier: BSD-3-Clause
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/mesh.hpp>

#include "support/caught.hpp"
#include "support/collective.hpp"
#include "support/mpi.hpp"

namespace partita::comm::mesh_tests {
namespace {

using ::partita::testing::caught;
using test::world;

TEST(mesh, with_one_axis_is_the_world) {
  const Mesh mesh(world(), {{"data", world().size()}});
  EXPECT_EQ(mesh["data"].size(), world().size());
  EXPECT_EQ(mesh["data"].rank(), world().rank());
  EXPECT_EQ(mesh["data"].name(), "data");
  EXPECT_EQ(mesh.coordinates(), std::vector<int>{world().rank()});
  EXPECT_EQ(&mesh.world(), &world());
}

/// Every factorisation of P into three axes: coordinates are row-major, and an axis joins the ranks that differ in it
/// alone.
TEST(mesh, is_row_major) {
  const int P = world().size(), me = world().rank();
  for (int a = 1; a <= P; ++a)
    for (int b = 1; a * b <= P; ++b) {
      if (P % (a * b) != 0) continue;
      const int c = P / (a * b);
      const Mesh mesh(world(), {{"data", a}, {"pipeline", b}, {"tensor", c}});
      const std::vector<int> expected{me / (b * c), me / c % b, me % c};
      EXPECT_EQ(mesh.coordinates(), expected) << a << " x " << b << " x " << c;
      EXPECT_EQ(mesh.coordinate("pipeline"), expected[1]);
      EXPECT_EQ(mesh.extent("tensor"), c);
      const std::vector<int> strides{b * c, c, 1};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const Communicator& along = mesh[mesh.axes()[axis].name];
        EXPECT_EQ(along.rank(), expected[axis]);
        const std::vector<int> members = along.allgather(me);
        for (std::size_t i = 0; i < members.size(); ++i)
          EXPECT_EQ(members[i], me + (static_cast<int>(i) - expected[axis]) * strides[axis]);
      }
    }
}

TEST(mesh, refuses_what_does_not_fit) {
  const int P = world().size();
  const auto refuse = [](std::vector<Axis> axes) { return caught<UsageError>([&] { Mesh(world(), axes); }); };
  EXPECT_EQ(refuse({{"data", P}, {"tensor", 2}}), "mesh: data " + std::to_string(P) + " x tensor 2 is a mesh of " +
                                                      std::to_string(2 * P) + " ranks: expected " + std::to_string(P) +
                                                      ", as many as there are");
  EXPECT_EQ(refuse({{"data", P}, {"data", 1}}), "mesh: axis data is given twice: expected a name for each axis");
  EXPECT_EQ(refuse({{"data", P}, {"tensor", 0}}), "mesh: axis tensor has extent 0: expected at least 1");
}

TEST(mesh, names_the_axes_it_has) {
  const Mesh mesh(world(), {{"data", world().size()}});
  EXPECT_EQ(caught<Error>([&] { mesh["tensor"]; }),
            "mesh: no axis tensor: expected one of data " + std::to_string(world().size()));
}

}  // namespace
}  // namespace partita::comm::mesh_tests
