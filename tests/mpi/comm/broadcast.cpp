// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/comm/collectives/broadcast.hpp>

#include "support/mpi.hpp"

namespace partita::comm {
namespace {

using test::world;

template <class S>
void expect_roots_values(const Communicator& comm, index_t n, int root) {
  Vector<S> x("partita::test::broadcast::x", n);
  const auto host = Kokkos::create_mirror_view(x);
  for (index_t i = 0; i < n; ++i) host(i) = static_cast<S>(100 * comm.rank() + i);
  Kokkos::deep_copy(x, host);
  broadcast(Exec(), comm, x, root);
  Kokkos::deep_copy(host, x);
  for (index_t i = 0; i < n; ++i) EXPECT_EQ(host(i), static_cast<S>(100 * root + i));
}

TEST(broadcast, gives_the_values_of_any_root) {
  for (int root = 0; root < world().size(); ++root)
    for (const index_t n : {0, 1, 33}) {
      expect_roots_values<float>(world(), n, root);
      expect_roots_values<double>(world(), n, root);
      expect_roots_values<index_t>(world(), n, root);
    }
}

TEST(broadcast, stages_where_mpi_cannot_reach_the_device) {
  const Communicator unaware = Communicator::borrow(world().handle(), "unaware", nullptr, false);
  expect_roots_values<float>(unaware, 33, world().size() - 1);
}

TEST(broadcast, counts_what_root_hands_over) {
  Traffic counted;
  const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
  expect_roots_values<double>(comm, 10, 0);
  EXPECT_EQ(counted.entry("broadcast", "mpi", "data").sent_bytes, comm.is_root() && comm.size() > 1 ? 80 : 0);
}

}  // namespace
}  // namespace partita::comm
