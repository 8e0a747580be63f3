// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/parallel/held_out.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>

#include "problem.hpp"

namespace partita::parallel::test {
namespace {

using Data = Problem<float>;

HeldOutResult evaluate(const comm::Communicator& comm, index_t samples, index_t rows) {
  nn::Model<float> model = Data::model();
  model.plan(rows);
  kernels::Context context(Exec(), {.backend = kernels::Backend::automatic, .deterministic = true, .per_kernel = {}});
  return evaluate_held_out<float>(model, context, comm, kernels::Loss::cross_entropy, samples, rows,
                                  [](index_t first, Matrix<float> x, Vector<std::int32_t> label) {
                                    Data::fill(0, {first, static_cast<index_t>(x.extent(0)), 0}, x, label);
                                  });
}

TEST(held_out, any_number_of_ranks_gives_the_same_bits) {
  const comm::Communicator& world = partita::test::world();
  const comm::Communicator alone = world.split(world.rank(), 0, "alone");
  // Blocks that divide the samples, that do not, and fewer blocks than ranks.
  for (const index_t samples : {index_t{40}, index_t{43}, index_t{5}}) {
    const HeldOutResult one = evaluate(alone, samples, 8);
    const HeldOutResult many = evaluate(world, samples, 8);
    EXPECT_ALL(world, many.loss == one.loss);
    EXPECT_ALL(world, many.accuracy == one.accuracy);
  }
}

TEST(held_out, blocks_do_not_change_the_result) {
  const comm::Communicator& world = partita::test::world();
  const HeldOutResult small = evaluate(world, 43, 5);
  const HeldOutResult large = evaluate(world, 43, 43);
  EXPECT_EQ(small.accuracy, large.accuracy);
  EXPECT_NEAR(small.loss, large.loss, 43 * std::numeric_limits<float>::epsilon());
}

}  // namespace
}  // namespace partita::parallel::test
