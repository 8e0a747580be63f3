// SPDX-License-Identifier: BSD-3-Clause
// Ranks that share images have rows of the same samples, which together are the whole ones.
#include <vector>

#include <gtest/gtest.h>

#include <partita/training/dataset.hpp>
#include <partita/training/train_options.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::training::sample_share_tests {
namespace {

using partita::test::world;

constexpr index_t B = 6;

DataOptions images(index_t rows) {
  DataOptions options;
  options.source = Source::synthetic;
  options.image = {rows, 3, 1};
  options.synthetic.features = rows * 3;
  options.synthetic.classes = 4;
  options.samples = 40;
  options.held_out = 9;
  return options;
}

struct Samples {
  std::vector<float> x;
  std::vector<std::int32_t> label;
};

Samples on_host(const Rows<float>& rows) {
  Exec().fence();
  const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), rows.x);
  const auto label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), rows.label);
  return {{x.data(), x.data() + x.size()}, {label.data(), label.data() + label.size()}};
}

Samples batch(const Dataset& data) {
  const Rows<float> to = data.allocate<float>(B);
  data.batch(Exec(), 3, whole(B), to);
  return on_host(to);
}

Samples held_out(const Dataset& data) {
  const Rows<float> to = data.allocate<float>(B);
  data.held_out(Exec(), 2, to);
  return on_host(to);
}

void expect_part(const Samples& mine, const Samples& all, Slice here, const char* what) {
  std::vector<float> expected;
  for (index_t b = 0; b < B; ++b)
    for (index_t j = here.offset; j < here.end(); ++j)
      expected.push_back(all.x[static_cast<std::size_t>(b * here.global + j)]);
  EXPECT_ALL(world(), mine.x == expected) << what;
  EXPECT_ALL(world(), mine.label == all.label) << what;
}

TEST(sample_share, rows_of_all_ranks_are_the_whole_images) {
  for (const index_t rows : {7, 8, 29}) {
    TrainOptions train;
    train.batch = B;
    train.steps = 10;
    const Dataset all(world(), images(rows), train, 1);
    const Dataset part(world(), images(rows), train, 1, {world().size(), world().rank()});
    EXPECT_EQ(part.shape().features, rows * 3) << "of whole samples";
    EXPECT_EQ(all.features(), whole(rows * 3));
    const Slice mine = part.features();
    index_t before = 0;
    for (const index_t numbers : world().allgather(mine.extent)) {
      before += numbers;
      EXPECT_EQ(numbers % 3, 0) << "whole rows";
    }
    EXPECT_EQ(before, rows * 3);
    expect_part(batch(part), batch(all), mine, "batch");
    expect_part(held_out(part), held_out(all), mine, "held out");
  }
}

TEST(sample_share, samples_without_a_shape_are_whole_everywhere) {
  DataOptions options = images(7);
  options.image = {};
  TrainOptions train;
  train.batch = B;
  train.steps = 10;
  const Dataset part(world(), options, train, 1, {world().size(), world().rank()});
  EXPECT_EQ(part.features(), whole(21));
}

}  // namespace
}  // namespace partita::training::sample_share_tests
