// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/stream_source.hpp>

#include <support/caught.hpp>
#include <support/discipline.hpp>
#include <support/temporary_folder.hpp>

namespace partita::data::stream_reader_tests {
namespace {

using partita::testing::caught;

constexpr double long_s = 60;

template <class Number>
struct Batch {
  Batch(index_t rows, index_t columns, index_t labels = 1)
      : x("partita::test::x", rows, columns), label("partita::test::label", rows * labels) {}
  Matrix<Number> x;
  Vector<std::int32_t> label;
};

// Bit for bit.
template <class ViewType>
bool same(const ViewType& a, const ViewType& b) {
  const auto host_a = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, a);
  const auto host_b = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, b);
  return a.size() == b.size() &&
         std::memcmp(host_a.data(), host_b.data(), a.size() * sizeof(typename ViewType::value_type)) == 0;
}

template <class Number>
bool same(const Batch<Number>& a, const Batch<Number>& b) {
  return same(a.x, b.x) && same(a.label, b.label);
}

// A row's only number is the sample's index.
SampleSource<std::int32_t> count() {
  return [](index_t sample, std::int32_t* x, std::int32_t* label, const std::stop_token&) {
    *x = static_cast<std::int32_t>(sample);
    *label = static_cast<std::int32_t>(-sample);
    return true;
  };
}

std::vector<std::int32_t> take(StreamReader<std::int32_t>& reader, index_t rows) {
  const Batch<std::int32_t> batch(rows, 1);
  while (reader.wait(long_s) == 0)
    if (reader.failure()) std::rethrow_exception(reader.failure());
  reader.take(Exec(), batch.x, batch.label);
  const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, batch.x);
  return {x.data(), x.data() + rows};
}

template <class Scalar>
void expect_the_samples_of_synthetic_rows() {
  constexpr index_t B = 10;
  const SyntheticOptions options{3, 17, 5, 0.7};
  for (const index_t P : {1, 3, 4}) {
    for (index_t rank = 0; rank < P; ++rank) {
      const Slice rows = partition(B, P, rank);
      StreamReader<Scalar> reader({.depth = 3}, rows, 17, 1, generated<Scalar>(options));
      for (index_t step = 0; step < 8; ++step) {
        const Batch<Scalar> streamed(rows.extent, 17), made(rows.extent, 17);
        ASSERT_GT(reader.wait(long_s), 0);
        reader.take(Exec(), streamed.x, streamed.label);
        synthetic_rows(Exec(), options, Split::train, step * B + rows.offset, made.x, made.label);
        EXPECT_TRUE(same(streamed, made)) << "rank " << rank << " of " << P << ", step " << step;
      }
    }
  }
}

TEST(stream_reader, a_generator_gives_the_samples_of_synthetic_rows) {
  expect_the_samples_of_synthetic_rows<float>();
  expect_the_samples_of_synthetic_rows<bfloat16>();
  expect_the_samples_of_synthetic_rows<float16>();
}

TEST(stream_reader, sequences_are_those_of_synthetic_tokens_rows) {
  constexpr index_t T = 5, B = 4;
  const SyntheticTokensOptions options{2, 13, 0.2};
  StreamReader<std::int32_t> reader({.depth = 2}, {0, B, B}, T, T, generated_tokens(options, T));
  for (index_t step = 0; step < 5; ++step) {
    const Batch<std::int32_t> streamed(B, T, T), made(B, T, T);
    ASSERT_GT(reader.wait(long_s), 0);
    reader.take(Exec(), streamed.x, streamed.label);
    synthetic_tokens_rows(Exec(), options, Split::train, step * B, made.x, made.label);
    EXPECT_TRUE(same(streamed, made)) << step;
  }
}

TEST(stream_reader, a_file_gives_the_numbers_of_gather_rows) {
  constexpr index_t F = 9, N = 12, B = 4;
  const partita::testing::TemporaryFolder folder;
  const std::string path = folder / "x.bin";
  std::string bytes;
  for (index_t i = 0; i < N; ++i) {
    bytes.push_back(static_cast<char>(i % 3));
    for (index_t f = 0; f < F; ++f) bytes.push_back(static_cast<char>(37 * i + 11 * f));
  }
  std::ofstream(path, std::ios::binary) << bytes;
  const Normalisation normalisation{0.3, 0.4};
  const DeviceImages images = upload(held_out_of({path, F, 3, 1, N, {}}));
  StreamReader<float16> reader({.depth = 2}, {0, B, B}, F, 1, from_file<float16>({path, F, 3, 0.01, 0, normalisation}));
  for (index_t step = 0; step < N / B; ++step) {
    const Batch<float16> streamed(B, F), gathered(B, F);
    ASSERT_GT(reader.wait(long_s), 0);
    reader.take(Exec(), streamed.x, streamed.label);
    gather_rows(Exec(), normalisation, images, step * B, gathered.x, gathered.label);
    EXPECT_TRUE(same(streamed, gathered)) << step;
  }
  EXPECT_EQ(reader.wait(long_s), 0);
  EXPECT_EQ(caught<IncompleteError>([&] { std::rethrow_exception(reader.failure()); }),
            path + ": the stream ended: it did not grow for 0.01 s, after 12 records");
}

TEST(stream_reader, the_queue_holds_whole_batches_of_my_rows) {
  StreamReader<std::int32_t> reader({.depth = 3}, {4, 2, 10}, 1, 1, count());
  EXPECT_EQ(take(reader, 2), (std::vector<std::int32_t>{4, 5}));
  EXPECT_EQ(take(reader, 2), (std::vector<std::int32_t>{14, 15}));
  while (reader.wait(long_s) < 3) continue;
  EXPECT_EQ(reader.wait(0), 3) << "and no more";
  EXPECT_EQ(reader.capacity(), 6);
  EXPECT_EQ(take(reader, 2), (std::vector<std::int32_t>{24, 25}));
}

// What was delivered and dropped is what came: the sample after the last one taken says how many came before it.
TEST(stream_reader, drops_are_counted_exactly_and_only_when_the_queue_is_full) {
  constexpr index_t all = 1000, B = 4, depth = 2;
  std::atomic<index_t> came{0};
  StreamReader<std::int32_t> reader({.depth = depth, .when_full = WhenFull::drop}, {0, B, B}, 1, 1,
                                    [&](index_t sample, std::int32_t* x, std::int32_t* label, const std::stop_token&) {
                                      if (sample == all) throw IncompleteError("all came");
                                      came = sample + 1;
                                      *x = static_cast<std::int32_t>(sample);
                                      *label = 0;
                                      return true;
                                    });
  ASSERT_GT(reader.wait(long_s), 0);
  while (!reader.failure()) std::this_thread::yield();
  std::vector<std::int32_t> taken;
  while (reader.wait(0) > 0)
    for (const std::int32_t sample : take(reader, B)) taken.push_back(sample);
  EXPECT_EQ(taken, (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7})) << "the first ones found room";
  EXPECT_EQ(came, all);
  EXPECT_EQ(reader.counts().dropped, all - depth * B);
  EXPECT_EQ(reader.counts().delivered, depth * B);
}

TEST(stream_reader, a_rate_bounds_what_comes) {
  constexpr double rate = 2000;
  constexpr index_t B = 10, depth = 4;
  for (const Slice rows : {Slice{0, B, B}, Slice{4, 3, B}}) {
    const std::int64_t start = now_ns();
    StreamReader<std::int32_t> reader({.depth = depth, .rate = rate}, rows, 1, 1, count());
    for (int step = 0; step < 20; ++step) {
      const std::int32_t last = take(reader, rows.extent).back();
      // All ranks' samples up to this one came in the time that went by.
      EXPECT_LE(last, rate * seconds(now_ns() - start));
    }
    EXPECT_GT(reader.counts().starved_s, 0);
  }
}

TEST(stream_reader, a_source_that_had_to_wait_does_not_catch_up) {
  constexpr double rate = 1000;
  constexpr index_t B = 5, depth = 2;
  StreamReader<std::int32_t> reader({.depth = depth, .rate = rate}, {0, B, B}, 1, 1, count());
  take(reader, B);
  while (reader.wait(long_s) < depth) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // 200 samples that a queue of 10 has no room for
  const std::int64_t start = now_ns();
  std::int32_t last = 0;
  for (int step = 0; step < 10; ++step) {
    last = take(reader, B).back();
    // Taken before, in the queue, one that waited at the full queue, and what came since.
    EXPECT_LE(last + 1, B + depth * B + 1 + rate * seconds(now_ns() - start) + 1);
  }
  EXPECT_EQ(last, 11 * B - 1) << "nothing was lost";
}

TEST(stream_reader, what_the_source_throws_reaches_the_taker_behind_what_came_before) {
  StreamReader<std::int32_t> reader({.depth = 3}, {0, 2, 2}, 1, 1,
                                    [](index_t sample, std::int32_t* x, std::int32_t*, const std::stop_token&) {
                                      if (sample == 5) throw std::runtime_error("a hole in the disk");
                                      *x = static_cast<std::int32_t>(sample);
                                      return true;
                                    });
  EXPECT_EQ(take(reader, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(take(reader, 2), (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(caught<std::runtime_error>([&] { take(reader, 2); }), "a hole in the disk");
}

TEST(stream_reader, ends_at_once_wherever_its_thread_waits) {
  {
    StreamReader<std::int32_t> never_started({.depth = 3}, {0, 2, 2}, 1, 1, count());
    StreamReader<std::int32_t> full({.depth = 1}, {0, 2, 2}, 1, 1, count());
    EXPECT_EQ(full.wait(long_s), 1);
    StreamReader<std::int32_t> slow({.depth = 1, .rate = 1e-3}, {1, 2, 2}, 1, 1, count());  // a sample in 1000 s
    EXPECT_EQ(slow.wait(0.01), 0);
  }
  SUCCEED();  // else the time limit of the test speaks
}

TEST(stream_reader, extents_that_do_not_fit_are_named) {
  StreamReader<std::int32_t> reader({.depth = 1, .rate = 1e-3}, {1, 2, 3}, 4, 1, count());
  const Batch<std::int32_t> wide(2, 5), right(2, 4);
  EXPECT_EQ(caught<ShapeError>([&] { reader.take(Exec(), wide.x, wide.label); }),
            "StreamReader::take: x is (2, 5), label has 2 elements: expected x (2, 4) and 1 labels a row");
  EXPECT_EQ(caught<ShapeError>([&] { reader.take(Exec(), right.x, right.label); }),
            "StreamReader::take: 0 rows lie there: expected a whole batch: wait first");
}

TEST(stream_reader, a_batch_is_taken_without_allocation_and_with_our_labels) {
  const Exec exec;
  StreamReader<float> reader({.depth = 2}, {0, 8, 8}, 33, 1, generated<float>({1, 33, 5, 1.0}));
  const Batch<float> batch(8, 33);
  const auto next = [&] {
    while (reader.wait(long_s) == 0) continue;
    reader.take(exec, batch.x, batch.label);
  };
  next();  // starts the thread
  if constexpr (std::is_same_v<Exec, HostExec>) test::expect_own_labels_and_no_fences(exec, 1, next);
  test::expect_no_allocation(true, [&] {
    for (int step = 0; step < 20; ++step) next();
  });
}

}  // namespace
}  // namespace partita::data::stream_reader_tests
