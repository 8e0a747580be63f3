// SPDX-License-Identifier: BSD-3-Clause
// Ranks that read a stream agree on when a batch is there, on its end and on what is wrong with it.
#include <array>
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <partita/core/float16.hpp>
#include <partita/core/partition.hpp>
#include <partita/training/stream_input.hpp>
#include <partita/training/train_options.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/discipline.hpp>
#include <support/mpi.hpp>
#include <support/temporary_folder.hpp>

namespace partita::training::stream_input_tests {
namespace {

using partita::test::world;
using partita::testing::caught;
using partita::testing::TemporaryFolder;

constexpr index_t B = 7, F = 3, held_out = 2;

// Records whose first number is their index among the training samples.
std::string records(index_t count) {
  std::string bytes;
  for (index_t k = 0; k < held_out + count; ++k)
    bytes += {static_cast<char>(k % 5), static_cast<char>(k - held_out), 'x', 'y'};
  return bytes;
}

class stream_input : public ::testing::Test {
 protected:
  stream_input() {
    std::string path;
    if (world().is_root()) {
      folder = std::make_unique<TemporaryFolder>();
      path = *folder / "stream.bin";
    }
    world().broadcast(path);
    options.source = Source::stream;
    options.path = path;
    options.synthetic.features = F;
    options.synthetic.classes = 5;
    options.held_out = held_out;
    options.normalisation = {0, 1.0 / 255};  // bytes as they are
    options.stream = {StreamFrom::file, {.depth = 3}, 0.2};
    train.batch = B;
    train.steps = 100;
  }
  ~stream_input() override { world().barrier(); }

  void write(const std::string& bytes) {
    if (world().is_root()) std::ofstream(options.path, std::ios::binary) << bytes;
    world().barrier();
  }
  /// Awaits and takes batches until there is none; how many, and why.
  std::pair<index_t, std::string> read_all(StreamInput<float>& input, const Rows<float>& to, const driver::Stop& stop) {
    for (index_t s = 0;; ++s) {
      stopped = false;
      const std::string why = input.await(s, stop, false);
      if (!why.empty() || stopped) return {s, why};
      input.batch(Exec(), to);
      const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, to.x);
      for (index_t b = 0; b < rows.extent; ++b) EXPECT_EQ(x(b, 0), static_cast<float>(s * B + rows.offset + b));
    }
  }

  DataOptions options;
  TrainOptions train;
  Slice rows = partition(B, world().size(), world().rank());
  bool stopped = false;
  const driver::Stop never = [] { return false; };

 private:
  std::unique_ptr<TemporaryFolder> folder;
};

TEST_F(stream_input, gives_all_ranks_their_rows_and_ends_on_all_of_them) {
  write(records(9 * B + 2));  // the lowest rank finds a row of the tenth batch
  const Dataset data(world(), options, train, world().size());
  EXPECT_EQ(data.held_out_samples(), held_out);
  EXPECT_EQ(data.steps_per_epoch(), train.steps);
  StreamInput<float> input(data, rows);
  const auto [batches, why] = read_all(input, data.allocate<float>(rows.extent), never);
  EXPECT_EQ(batches, 9);
  EXPECT_EQ(why, "data.path: " + options.path + ": the stream ended: it did not grow for 0.2 s, after 67 records");
  const metrics::Table table = input.table();
  if (!world().is_root()) return;
  EXPECT_EQ(table.group, "/stream");
  const auto& delivered = std::get<std::vector<std::int64_t>>(table.columns[1].data);
  ASSERT_EQ(std::ssize(delivered), world().size());
  for (int r = 0; r < world().size(); ++r)
    EXPECT_EQ(delivered[static_cast<std::size_t>(r)], 9 * partition(B, world().size(), r).extent);
}

TEST_F(stream_input, all_ranks_look_as_often_while_one_of_them_starves) {
  options.stream.timeout_s = 0;
  write(records(2 * B - 1));  // the last row is the last rank's
  const Dataset data(world(), options, train, world().size());
  StreamInput<float> input(data, rows);
  index_t looks = 0;
  const auto [batches, why] = read_all(input, data.allocate<float>(rows.extent), [&] {
    ++looks;
    stopped = world().all_of(looks == 3);
    return stopped;
  });
  EXPECT_EQ(batches, 1);
  EXPECT_EQ(why, "");
  EXPECT_EQ(looks, 3);
}

TEST_F(stream_input, what_one_rank_finds_wrong_is_thrown_by_all) {
  std::string bytes = records(9 * B);
  bytes[static_cast<std::size_t>((held_out + 4 * B - 1) * (F + 1))] = 5;  // of the last rank
  write(bytes);
  const Dataset data(world(), options, train, world().size());
  StreamInput<float> input(data, rows);
  const Rows<float> to = data.allocate<float>(rows.extent);
  EXPECT_EQ(caught<UsageError>([&] { read_all(input, to, never); }),
            "data.path: " + options.path +
                ": label 5 of record 29 at byte 116 is not below 5: expected records of 4 bytes, a label below 5 and "
                "3 more");
}

TEST_F(stream_input, a_torn_end_is_the_same_error_whoever_finds_it) {
  write(records(3 * B) + "\1a");
  const Dataset data(world(), options, train, world().size());
  StreamInput<float> input(data, rows);
  const Rows<float> to = data.allocate<float>(rows.extent);
  EXPECT_EQ(caught<UsageError>([&] { read_all(input, to, never); }),
            "data.path: " + options.path +
                ": truncated: it did not grow for 0.2 s, and record 23 at byte 92 has 2 bytes: expected records of 4 "
                "bytes, a label below 5 and 3 more");
}

TEST_F(stream_input, too_few_held_out_records_are_refused_by_all) {
  write("\1a");
  EXPECT_EQ(
      caught<UsageError>([&] { Dataset(world(), options, train, world().size()); }),
      "data.path: " + options.path + ": holds 0 whole records of 4 bytes: expected at least the 2 of data.held_out");
}

TEST_F(stream_input, ranks_that_share_rows_may_not_drop) {
  write(records(B));
  options.stream.reader.when_full = data::WhenFull::drop;
  EXPECT_EQ(caught<UsageError>([&] { Dataset(world(), options, train, world().size() + 1); }),
            "data.stream_when_full: ranks that share rows would drop unlike samples: expected \"block\"");
}

TEST_F(stream_input, counts_begin_behind_warm_up) {
  options.stream.from = StreamFrom::generator;
  const Dataset data(world(), options, train, world().size());
  StreamInput<bfloat16> input(data, rows);
  const Rows<bfloat16> to = data.allocate<bfloat16>(rows.extent);
  for (index_t s = 0; s < 5; ++s) {
    EXPECT_EQ(input.await(s, never, s < 3), "");
    input.batch(Exec(), to);
  }
  const metrics::Table table = input.table();
  if (world().is_root()) {
    EXPECT_EQ(std::get<std::vector<std::int64_t>>(table.columns[1].data)[0], 2 * rows.extent);
  }
}

TEST_F(stream_input, a_step_allocates_nothing) {
  if (!test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  options.stream.from = StreamFrom::generator;
  const Dataset data(world(), options, train, world().size());
  StreamInput<float> input(data, rows);
  const Rows<float> to = data.allocate<float>(rows.extent);
  const Exec exec;
  const auto step = [&](index_t s) {
    input.await(s, never, false);
    input.batch(exec, to);
  };
  step(0);  // starts the thread
  test::expect_no_allocation(true, [&] {
    for (index_t s = 1; s < 50; ++s) step(s);
  });
}

}  // namespace
}  // namespace partita::training::stream_input_tests
