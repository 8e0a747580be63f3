// SPDX-License-Identifier: BSD-3-Clause
// A program that leaves an object of MPI, or misuses it, for the tests of mpi_objects.cpp (CMakeLists.txt beside it).
#include <iostream>
#include <map>
#include <string>

#include <partita/comm/environment.hpp>
#include <partita/comm/point_to_point.hpp>
#include <partita/core/error.hpp>
#include <partita/core/types.hpp>

using namespace partita;

namespace {

const std::map<std::string, void (*)(const comm::Communicator&)> cases = {
    {"nothing", [](const comm::Communicator& world) { const auto freed = world.duplicate("freed"); }},
    {"communicator",
     [](const comm::Communicator&) {
       MPI_Comm left = MPI_COMM_NULL;
       MPI_Comm_dup(MPI_COMM_WORLD, &left);
     }},
    {"group",
     [](const comm::Communicator&) {
       MPI_Group left = MPI_GROUP_NULL;
       MPI_Comm_group(MPI_COMM_WORLD, &left);
     }},
    {"datatype",
     [](const comm::Communicator&) {
       MPI_Datatype left = MPI_DATATYPE_NULL;
       MPI_Type_contiguous(3, MPI_INT, &left);
     }},
    {"operation",
     [](const comm::Communicator&) {
       MPI_Op left = MPI_OP_NULL;
       MPI_Op_create([](void*, void*, int*, MPI_Datatype*) {}, 1, &left);
     }},
    {"request",
     [](const comm::Communicator&) {
       static char nothing = 0;
       MPI_Request left = MPI_REQUEST_NULL;
       MPI_Irecv(&nothing, 1, MPI_CHAR, 0, 7, MPI_COMM_SELF, &left);
     }},
    // A communicator that an exception unwinds is left on purpose.
    {"unwound",
     [](const comm::Communicator& world) {
       const auto left = world.duplicate("left");
       throw UsageError("as asked");
     }},
    {"truncated",
     [](const comm::Communicator& world) {
       const Exec exec;
       const Vector<float> values("partita::test::values", 8);
       comm::PointToPoint<float> other(world, 1 - world.rank(), 8);
       const int tag = world.claim_tag();
       if (world.is_root())
         other.send(exec, values, tag, nullptr);
       else
         other.receive(exec, Vector<float>(values.data(), 4), tag);
       other.wait(exec);
     }},
};

}  // namespace

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);
  return env.guard([&] { cases.at(argv[1])(env.world()); });
}
