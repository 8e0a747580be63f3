// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/text.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::data::text_tests {
namespace {

using partita::testing::caught;
using partita::testing::TemporaryFolder;

// Byte i says where it stands: i modulo 251, a prime, so that no window length hides a shift.
std::vector<std::uint8_t> numbered(index_t bytes) {
  std::vector<std::uint8_t> text(static_cast<std::size_t>(bytes));
  for (index_t i = 0; i < bytes; ++i) text[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i % 251);
  return text;
}

struct Windows {
  std::vector<std::int32_t> tokens, label;
};

template <class View>
std::vector<std::int32_t> on_host(const View& view) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  return {host.data(), host.data() + host.size()};
}

Windows batch(const ConstVector<std::uint8_t>& text, const TextWindows& windows, const Sampler& sampler, index_t step,
              Slice rows) {
  const Matrix<std::int32_t> tokens("tokens", rows.extent, windows.tokens());
  const Vector<std::int32_t> label("label", rows.extent * windows.tokens());
  Kokkos::deep_copy(tokens, 777);
  Kokkos::deep_copy(label, 777);
  text_batch(Exec(), text, windows, sampler, step, rows, tokens, label);
  Exec().fence();
  return {on_host(tokens), on_host(label)};
}

Windows held_out(const ConstVector<std::uint8_t>& text, index_t T, index_t first, index_t B) {
  const Matrix<std::int32_t> tokens("tokens", B, T);
  const Vector<std::int32_t> label("label", B * T);
  Kokkos::deep_copy(tokens, 777);
  Kokkos::deep_copy(label, 777);
  text_rows(Exec(), text, first, tokens, label);
  Exec().fence();
  return {on_host(tokens), on_host(label)};
}

void append(std::vector<std::int32_t>& to, const std::vector<std::int32_t>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// How often each byte of the text is a label in an epoch, by brute force over the windows.
std::vector<int> uses(const TextWindows& windows, index_t epoch) {
  std::vector<int> count(static_cast<std::size_t>(windows.bytes()), 0);
  for (index_t k = 0; k < windows.count(); ++k)
    for (index_t t = 0; t < windows.tokens(); ++t)
      ++count.at(static_cast<std::size_t>(windows.begin(epoch, k) + t + 1));
  return count;
}

TEST(text, windows_of_an_epoch_use_each_byte_once_but_for_less_than_two_windows_at_the_ends) {
  for (const index_t T : {1, 2, 3, 17, 33, 128}) {
    for (const index_t extra : {0, 1, 2, 16, 32, 127, 500}) {
      const index_t bytes = 2 * T + extra;
      const TextWindows windows(5, bytes, T);
      ASSERT_GE(windows.count(), 1);
      for (index_t epoch = 0; epoch < 9; ++epoch) {
        const std::vector<int> count = uses(windows, epoch);
        const auto first = std::find(count.begin(), count.end(), 1);
        const auto last = std::find(count.rbegin(), count.rend(), 1).base();
        EXPECT_TRUE(std::all_of(first, last, [](int n) { return n == 1; })) << T << " " << bytes;
        const index_t used = last - first;
        EXPECT_EQ(used, std::accumulate(count.begin(), count.end(), index_t{0}));
        EXPECT_LT(bytes - used, 2 * T) << T << " " << bytes;
      }
    }
  }
}

TEST(text, epochs_cut_the_text_in_other_places_and_leave_no_byte_out_for_ever) {
  constexpr index_t T = 16, bytes = 16 * 20 + 5;
  const TextWindows windows(1, bytes, T), other(2, bytes, T);
  std::set<index_t> offsets;
  std::vector<int> count(bytes, 0);
  int unlike = 0;
  for (index_t epoch = 0; epoch < 200; ++epoch) {
    offsets.insert(windows.offset(epoch));
    unlike += windows.offset(epoch) != other.offset(epoch);
    const std::vector<int> now = uses(windows, epoch);
    for (std::size_t i = 0; i < now.size(); ++i) count[i] += now[i];
  }
  EXPECT_EQ(std::ssize(offsets), T);
  EXPECT_EQ(*offsets.begin(), 0);
  EXPECT_EQ(*offsets.rbegin(), T - 1);
  EXPECT_GT(unlike, 150);  // of 200, in which 1 in 16 agree by chance
  EXPECT_EQ(count[0], 0);  // no byte comes before it
  const index_t last_offset = T - 1, reach = last_offset + windows.count() * T;  // the last label of any epoch
  for (index_t i = 1; i < bytes; ++i) EXPECT_EQ(count[static_cast<std::size_t>(i)] > 0, i <= reach) << i;
  EXPECT_GE(reach, bytes - T);
}

TEST(text, labels_are_the_next_bytes_and_windows_those_that_the_sampler_says) {
  constexpr index_t T = 7, bytes = 7 * 40 + 3, B = 5;
  const std::vector<std::uint8_t> text = numbered(bytes);
  const ConstVector<std::uint8_t> there = upload(text, "text");
  const TextWindows windows(3, bytes, T);
  const Sampler sampler(3, windows.count(), B);
  std::map<index_t, std::set<index_t>> begins;  // by epoch
  for (index_t step = 0; step < 3 * sampler.steps_per_epoch(); ++step) {
    const Windows rows = batch(there, windows, sampler, step, whole(B));
    for (index_t b = 0; b < B; ++b) {
      const index_t begin = windows.begin(sampler.epoch(step), sampler.sample(step, b));
      EXPECT_TRUE(begins[sampler.epoch(step)].insert(begin).second) << "twice in an epoch";
      for (index_t t = 0; t < T; ++t) {
        const auto i = static_cast<std::size_t>(b * T + t), at = static_cast<std::size_t>(begin + t);
        EXPECT_EQ(rows.tokens[i], text[at]);
        EXPECT_EQ(rows.label[i], text[at + 1]);
      }
    }
  }
  EXPECT_EQ(std::ssize(begins), 3);
  EXPECT_NE(begins[0], begins[1]);
}

TEST(text, ranks_get_the_rows_of_the_one_batch) {
  constexpr index_t T = 6, bytes = 6 * 30, B = 11, step = 4;
  const ConstVector<std::uint8_t> text = upload(numbered(bytes), "text");
  const TextWindows windows(8, bytes, T);
  const Sampler sampler(8, windows.count(), B);
  const Windows all = batch(text, windows, sampler, step, whole(B));
  for (const index_t P : {1, 2, 3, 4, 8, 13}) {
    Windows joined;
    for (index_t rank = 0; rank < P; ++rank) {
      const Windows mine = batch(text, windows, sampler, step, partition(B, P, rank));
      append(joined.tokens, mine.tokens);
      append(joined.label, mine.label);
    }
    EXPECT_EQ(joined.tokens, all.tokens) << P;
    EXPECT_EQ(joined.label, all.label) << P;
  }
}

TEST(text, held_out_windows_ask_for_each_byte_but_the_first_once_and_pad_the_last) {
  for (const index_t T : {1, 3, 8, 17, 40}) {
    for (const index_t bytes : {2, 3, 16, 17, 18, 33, 121, 300}) {
      const std::vector<std::uint8_t> text = numbered(bytes);
      const ConstVector<std::uint8_t> there = upload(text, "text");
      const index_t windows = held_out_windows(bytes, T);
      const index_t some = std::min<index_t>(3, windows);  // in blocks, as an evaluation does
      Windows all;
      for (index_t first = 0; first < windows; first += some) {
        const Windows part = held_out(there, T, first, std::min(some, windows - first));
        append(all.tokens, part.tokens);
        append(all.label, part.label);
      }
      index_t scored = 0;
      for (std::size_t i = 0; i < all.label.size(); ++i) {
        if (i + 1 < text.size()) {
          EXPECT_EQ(all.tokens[i], text[i]);
          EXPECT_EQ(all.label[i], text[i + 1]);
          ++scored;
        } else {
          EXPECT_EQ(all.label[i], no_label) << T << " " << bytes;
          EXPECT_EQ(all.tokens[i], i < text.size() ? text[i] : 0);
        }
      }
      EXPECT_EQ(scored, bytes - 1) << T << " " << bytes;
      EXPECT_EQ(held_out_labels(bytes), bytes - 1);
      EXPECT_LT(std::ssize(all.label) - scored, T) << "a window of nothing but padding";
    }
  }
}

class text_file : public ::testing::Test {
 protected:
  std::string write(const std::string& name, index_t bytes) const {
    const std::vector<std::uint8_t> text = numbered(bytes);
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(text.data()), static_cast<std::streamsize>(text.size()));
    return folder_ / name;
  }
  const TemporaryFolder folder_;
};

std::string problem(const std::string& path) {
  return caught<UsageError>([&] { read_text(path, 0.1); });
}

TEST_F(text_file, is_cut_in_two_and_nothing_is_lost) {
  for (const index_t bytes : {1, 9, 10, 11, 1000, 99'999}) {
    const Text text = read_text(write("a", bytes), 0.1);
    EXPECT_EQ(std::ssize(text.held_out), bytes / 10);
    std::vector<std::uint8_t> all = text.train;
    all.insert(all.end(), text.held_out.begin(), text.held_out.end());
    EXPECT_EQ(all, numbered(bytes));
  }
}

TEST_F(text_file, that_is_none_is_refused_by_name) {
  const std::string allowed = ": expected a file of text, of which every byte is a token";
  EXPECT_EQ(problem(folder_ / "none"), folder_ / "none" + ": no such file" + allowed);
  EXPECT_EQ(problem(folder_.path()), folder_.path() + ": is a folder" + allowed);
  EXPECT_EQ(problem(write("empty", 0)), folder_ / "empty" + ": is empty" + allowed);
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(problem(folder_ / "pipe"), folder_ / "pipe" + ": is not an ordinary file" + allowed);
  ASSERT_EQ(symlink("loop", (folder_ / "loop").c_str()), 0);
  EXPECT_EQ(problem(folder_ / "loop"),
            folder_ / "loop" + ": cannot be read: Too many levels of symbolic links" + allowed);
  const std::string closed = write("closed", 100);
  ASSERT_EQ(chmod(closed.c_str(), 0), 0);
  if (access(closed.c_str(), R_OK) != 0) {  // root may read all
    EXPECT_EQ(problem(closed), closed + ": cannot be opened: Permission denied" + allowed);
  }
}

TEST_F(text_file, larger_than_memory_is_meant_for_is_refused_unread) {
  const std::string large = write("large", 1);
  ASSERT_EQ(truncate(large.c_str(), most_text_bytes + 1), 0);  // sparse
  EXPECT_EQ(problem(large), large + ": 1073741825 bytes: expected at most 1073741824, which are held in memory");
}

TEST_F(text_file, of_the_set_up_says_where_to_get_it_when_it_is_missing) {
  const char* before = getenv("PARTITA_CACHE");
  const std::string kept = before != nullptr ? before : "";
  setenv("PARTITA_CACHE", folder_.path().c_str(), 1);
  EXPECT_EQ(default_text(), folder_ / "kjv.txt");
  const std::string said = problem(default_text());
  EXPECT_NE(said.find("kjv.txt: no such file: expected"), std::string::npos) << said;
  EXPECT_NE(said.find("scripts/bootstrap"), std::string::npos) << said;
  EXPECT_NE(said.find("apt install bible-kjv"), std::string::npos) << said;
  if (before != nullptr)
    setenv("PARTITA_CACHE", kept.c_str(), 1);
  else
    unsetenv("PARTITA_CACHE");
}

TEST(text, too_few_bytes_are_refused_with_what_is_needed) {
  const auto problem_of = [](index_t train, index_t held_out, index_t T, index_t B) {
    return caught<UsageError>([&] { require_text_size("x", {numbered(train), numbered(held_out)}, T, B); });
  };
  EXPECT_EQ(problem_of(17 * 8, 2, 8, 16), "nothing was thrown");
  EXPECT_EQ(TextWindows(1, 17 * 8, 8).count(), 16);
  EXPECT_EQ(problem_of(17 * 8 - 1, 2, 8, 16),
            "x: 137 bytes, 135 of them for training: expected at least 136 of these, for train.batch = 16 windows of "
            "model.tokens = 8");
  EXPECT_EQ(problem_of(17 * 8, 1, 8, 16),
            "x: 137 bytes, 1 of them held out: expected at least 2 of these, so that one has a next: a larger file or "
            "data.held_out_share");
  EXPECT_NE(problem_of(100, 2, std::numeric_limits<std::int32_t>::max(), std::numeric_limits<std::int32_t>::max()),
            "nothing was thrown");
}

TEST(text, extents_that_do_not_fit_are_refused) {
  const ConstVector<std::uint8_t> bytes = upload(numbered(60), "text"), fewer = upload(numbered(59), "text");
  const TextWindows windows(1, 60, 5);
  const Sampler sampler(1, windows.count(), 4);
  const Matrix<std::int32_t> tokens("tokens", 4, 5), wide("tokens", 4, 6);
  const Vector<std::int32_t> label("label", 20), few("label", 19), wide_label("label", 24);
  const auto message = [&](const auto& text, const Sampler& s, const auto& to, const auto& to_label) {
    return caught<ShapeError>([&] { text_batch(Exec(), text, windows, s, 0, whole(4), to, to_label); });
  };
  EXPECT_EQ(message(bytes, sampler, tokens, label), "nothing was thrown");
  EXPECT_EQ(message(bytes, sampler, tokens, few),
            "text_batch: tokens is (4, 5), label has 19 elements: expected a label for each token");
  const std::string fits = "expected 60 bytes in 11 windows of 5";
  EXPECT_EQ(message(fewer, sampler, tokens, label),
            "text_batch: text has 59 bytes, tokens 5 columns, and the sampler draws from 11 samples: " + fits);
  EXPECT_EQ(message(bytes, sampler, wide, wide_label),
            "text_batch: text has 60 bytes, tokens 6 columns, and the sampler draws from 11 samples: " + fits);
  EXPECT_EQ(message(bytes, Sampler(1, 12, 4), tokens, label),
            "text_batch: text has 60 bytes, tokens 5 columns, and the sampler draws from 12 samples: " + fits);
  const auto rows_message = [&](index_t first, const auto& to_label) {
    return caught<ShapeError>([&] { text_rows(Exec(), bytes, first, tokens, to_label); });
  };
  EXPECT_EQ(rows_message(8, label), "nothing was thrown");  // 60 bytes: 12 windows, of which the last is padded
  EXPECT_EQ(rows_message(9, label), "text_rows: windows are [9, 13): expected a part of the 12 that there are");
  EXPECT_EQ(rows_message(-1, label), "text_rows: windows are [-1, 3): expected a part of the 12 that there are");
  EXPECT_EQ(rows_message(0, few),
            "text_rows: tokens is (4, 5), label has 19 elements: expected a label for each token");
  EXPECT_THROW(TextWindows(1, 9, 5), UsageError);
  EXPECT_THROW(TextWindows(1, 9, 0), UsageError);
}

}  // namespace
}  // namespace partita::data::text_tests
