// SPDX-License-Identifier: BSD-3-Clause
// What updates have changed between a pull and a push, counted by hand.
#include <gtest/gtest.h>

#include <partita/parallel/server/conflicts.hpp>

namespace partita::parallel::server::conflicts_tests {
namespace {

TEST(conflicts, of_a_dense_model_every_update_changes_every_key) {
  Conflicts of(0);
  of.hand_in(0, 0, {});
  of.updated(0);
  of.hand_in(1, 0, {});  // update 0 came in between
  of.hand_in(1, 1, {});
  of.updated(1);
  of.hand_in(2, 1, {});
  EXPECT_EQ(of.handed_in(), 4);
  EXPECT_EQ(of.conflicts(), 2);
}

TEST(conflicts, of_a_sparse_model_an_update_changes_the_rows_that_it_touches) {
  Conflicts of(9);
  const TouchedRows low = {1, 4}, high = {4, 5, 8}, none = {};
  of.hand_in(0, 0, low);
  of.hand_in(1, 0, high);  // before update 0: nothing has changed
  EXPECT_EQ(of.conflicts(), 0);
  of.updated(0);
  of.hand_in(2, 0, high);  // row 4
  EXPECT_EQ(of.conflicts(), 1);
  of.hand_in(2, 0, low);  // both
  of.hand_in(2, 0, none);
  EXPECT_EQ(of.conflicts(), 3);
  of.hand_in(2, 1, low);
  EXPECT_EQ(of.conflicts(), 3);
  of.updated(1);
  of.hand_in(2, 1, high);  // all that update 1 touches
  EXPECT_EQ(of.conflicts(), 6);
  EXPECT_EQ(of.handed_in(), 15);
}

}  // namespace
}  // namespace partita::parallel::server::conflicts_tests
