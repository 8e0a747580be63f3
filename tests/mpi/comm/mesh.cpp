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

/// The ranks of a plane, as the definition has them: those that agree with me in all other coordinates, ascending.
std::vector<int> alike(const std::vector<int>& extents, const std::vector<bool>& spans) {
  const auto coordinate = [&](int rank, std::size_t axis) {
    for (std::size_t i = extents.size(); --i > axis;) rank /= extents[i];
    return rank % extents[axis];
  };
  std::vector<int> members;
  for (int rank = 0; rank < world().size(); ++rank) {
    bool same = true;
    for (std::size_t axis = 0; axis < extents.size(); ++axis)
      same = same && (spans[axis] || coordinate(rank, axis) == coordinate(world().rank(), axis));
    if (same) members.push_back(rank);
  }
  return members;
}

TEST(mesh, has_planes_of_any_axes) {
  const int P = world().size();
  const std::vector<std::string> names{"data", "spatial", "tensor"};
  for (int a = 1; a <= P; ++a)
    for (int b = 1; a * b <= P; ++b) {
      if (P % (a * b) != 0) continue;
      const std::vector<int> extents{a, b, P / (a * b)};
      const Mesh mesh(world(), {{names[0], extents[0]}, {names[1], extents[1]}, {names[2], extents[2]}});
      for (unsigned mask = 1; mask < 8; ++mask) {
        std::vector<std::string_view> given;
        std::vector<bool> spans;
        std::string name;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          spans.push_back((mask >> axis & 1u) != 0);
          if (!spans.back()) continue;
          given.insert(given.begin(), names[axis]);  // in another order than the mesh has them
          name += (name.empty() ? "" : "+") + names[axis];
        }
        const Communicator plane = mesh.plane(given);
        EXPECT_EQ(plane.name(), name);
        EXPECT_EQ(plane.allgather(world().rank()), alike(extents, spans)) << name << " of " << a << " x " << b;
      }
    }
}

TEST(mesh, counts_a_plane_by_its_name_and_apart_from_the_axes) {
  Traffic counted;
  const int P = world().size();
  const Communicator all = Communicator::borrow(world().handle(), "world", &counted, true);
  const Mesh mesh(all, {{"data", 1}, {"spatial", P}});
  const Communicator plane = mesh.plane({"data", "spatial"}), axis = mesh.plane({"spatial"});
  EXPECT_EQ(plane.traffic_entry("allreduce", "ring"), &counted.entry("allreduce", "ring", "data+spatial"));
  EXPECT_EQ(axis.traffic_entry("allreduce", "ring"), &counted.entry("allreduce", "ring", "spatial"));
  for (const Communicator* mine : {&plane, &axis})
    for (const Communicator* other : {&all, &mesh["spatial"]}) {
      int same = MPI_IDENT;
      MPI_Comm_compare(mine->handle(), other->handle(), &same);
      EXPECT_EQ(same, MPI_CONGRUENT);  // the same ranks in the same order, and messages that do not meet
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
  EXPECT_EQ(caught<Error>([&] {
              mesh.plane({"data", "tensor"});
            }),
            "mesh: no axis tensor: expected one of data " + std::to_string(world().size()));
  EXPECT_EQ(caught<Error>([&] { mesh.plane({"data", "data"}); }), "mesh: axis data is given twice: expected each once");
  EXPECT_EQ(caught<Error>([&] { mesh.plane(std::span<const std::string_view>()); }),
            "mesh: a plane along no axis: expected some of data " + std::to_string(world().size()));
}

}  // namespace
}  // namespace partita::comm::mesh_tests
