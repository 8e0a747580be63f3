// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/data/growing_file.hpp>
#include <partita/data/stream_source.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::data::growing_file_tests {
namespace {

using namespace partita;
using namespace partita::data;
using partita::testing::caught;
using partita::testing::TemporaryFolder;

constexpr index_t features = 6, classes = 5;
constexpr double long_s = 60, short_s = 0.05;

std::uint8_t byte_of(index_t record, index_t at) {
  return at == 0 ? static_cast<std::uint8_t>(record % classes) : static_cast<std::uint8_t>(31 * record + 7 * at);
}

std::string records(index_t from, index_t to) {
  std::string bytes;
  for (index_t k = from; k < to; ++k)
    for (index_t at = 0; at <= features; ++at) bytes.push_back(static_cast<char>(byte_of(k, at)));
  return bytes;
}

void append(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::app).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class growing_file : public ::testing::Test {
 protected:
  std::string caught_at(index_t record) {
    GrowingFile file(path, features, classes, short_s);
    return caught<UsageError>([&] { file.read(record, row, {}); });
  }

  TemporaryFolder folder;
  std::string path = folder / "stream.bin";
  std::string expected = ": expected records of 7 bytes, a label below 5 and 6 more";
  std::vector<std::uint8_t> row = std::vector<std::uint8_t>(features + 1);
};

TEST_F(growing_file, gives_each_record_while_another_thread_appends_odd_pieces) {
  constexpr index_t all = 40;
  append(path, "");
  std::jthread writer([&] {
    const std::string bytes = records(0, all);
    std::size_t at = 0;
    for (std::size_t piece = 1; at < bytes.size(); piece = piece % 17 + 3) {
      append(path, bytes.substr(at, piece));
      at += piece;
      if (piece % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
  });
  GrowingFile file(path, features, classes, long_s);
  for (index_t k = 0; k < all; ++k) {
    ASSERT_TRUE(file.read(k, row, {}));
    for (index_t at = 0; at <= features; ++at)
      ASSERT_EQ(row[static_cast<std::size_t>(at)], byte_of(k, at)) << "record " << k;
  }
  EXPECT_EQ(file.records(), all);
}

TEST_F(growing_file, a_record_may_be_skipped) {
  append(path, records(0, 9));
  GrowingFile file(path, features, classes, long_s);
  for (const index_t k : {2, 5, 8}) {
    ASSERT_TRUE(file.read(k, row, {}));
    EXPECT_EQ(row[1], byte_of(k, 1));
  }
}

TEST_F(growing_file, a_wait_can_be_stopped) {
  append(path, records(0, 1));
  std::atomic<bool> got{true};
  {
    std::jthread reader([&](const std::stop_token& stop) {
      GrowingFile file(path, features, classes, 0);
      got = file.read(1, row, stop);
    });
  }
  EXPECT_FALSE(got);
}

TEST_F(growing_file, a_stream_ends_when_it_does_not_grow) {
  append(path, records(0, 3));
  GrowingFile file(path, features, classes, short_s);
  EXPECT_TRUE(file.read(2, row, {}));
  EXPECT_EQ(caught<IncompleteError>([&] { file.read(3, row, {}); }),
            path + ": the stream ended: it did not grow for 0.05 s, after 3 records");
}

TEST_F(growing_file, a_torn_record_at_the_end_is_named) {
  append(path, records(0, 3) + std::string("\1ab"));
  const std::string torn =
      path + ": truncated: it did not grow for 0.05 s, and record 3 at byte 21 has 3 bytes" + expected;
  EXPECT_EQ(caught_at(3), torn);
  EXPECT_EQ(caught_at(4), torn) << "whoever waits for another record says the same";
}

TEST_F(growing_file, a_label_out_of_range_is_named) {
  append(path, records(0, 2) + "\5abcdef");
  EXPECT_EQ(caught_at(2), path + ": label 5 of record 2 at byte 14 is not below 5" + expected);
}

TEST_F(growing_file, a_file_that_shrinks_is_refused) {
  append(path, records(0, 3));
  GrowingFile file(path, features, classes, long_s);
  std::filesystem::resize_file(path, 10);
  EXPECT_EQ(caught<UsageError>([&] { file.read(3, row, {}); }),
            path + ": became shorter, from 21 to 10 bytes" + expected);
  EXPECT_EQ(caught<UsageError>([&] { file.read(2, row, {}); }),
            path + ": became shorter: it ends at byte 14" + expected);
}

TEST_F(growing_file, what_is_no_ordinary_file_is_refused) {
  const auto opening = [&](const std::string& name) {
    return caught<UsageError>([&] { GrowingFile file(name, features, classes, 1); });
  };
  EXPECT_EQ(opening(path), path + ": cannot be opened: No such file or directory" + expected);
  EXPECT_EQ(opening(folder.path()), folder.path() + ": is no ordinary file" + expected);
  EXPECT_EQ(opening("/dev/null"), "/dev/null: is no ordinary file" + expected);
}

TEST_F(growing_file, held_out_samples_are_its_first_records) {
  append(path, records(0, 7));
  const StreamFile file{path, features, classes, short_s, 4, {}};
  const ImageSet set = held_out_of(file);
  EXPECT_EQ(set.count, 4);
  EXPECT_EQ(set.features(), features);
  for (index_t k = 0; k < 4; ++k) {
    EXPECT_EQ(set.labels[static_cast<std::size_t>(k)], byte_of(k, 0));
    for (index_t f = 0; f < features; ++f)
      EXPECT_EQ(set.pixels[static_cast<std::size_t>(k * features + f)], byte_of(k, f + 1));
  }
  const SampleSource<float> source = from_file<float>(file);
  std::vector<float> x(features);
  std::int32_t label = -1;
  ASSERT_TRUE(source(0, x.data(), &label, {}));
  EXPECT_EQ(label, byte_of(4, 0)) << "training begins behind them";

  StreamFile more = file;
  more.held_out = 8;
  EXPECT_EQ(caught<UsageError>([&] { held_out_of(more); }),
            path + ": holds 7 whole records of 7 bytes: expected at least the 8 of data.held_out");
}

}  // namespace
}  // namespace partita::data::growing_file_tests
