// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/machine.hpp>
#include <partita/data/idx.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>
#include "idx_files.hpp"

namespace partita::data::idx_tests {
namespace {

using namespace partita;
using namespace partita::data;
using namespace partita::testing;

const std::string remedy = ": expected " + data_remedy();

class idx_file : public ::testing::Test {
 protected:
  // What read_idx says about a file with these bytes, without path and remedy.
  std::string complaint(const Bytes& bytes) const {
    write(path_, bytes);
    std::string text = caught<UsageError>([&] { read_idx(path_); });
    if (text.rfind(path_ + ": ", 0) != 0 || text.size() < remedy.size() ||
        text.substr(text.size() - remedy.size()) != remedy) {
      return "not of the form <path>: <what>: expected <remedy>: " + text;
    }
    text = text.substr(path_.size() + 2);
    return text.substr(0, text.size() - remedy.size());
  }
  Bytes gz(const Bytes& bytes) const { return gzipped(folder_ / "scratch.gz", bytes); }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "file";
};

TEST_F(idx_file, plain_and_gzip_read_alike) {
  const Bytes content = noise(3 * 5 * 7);
  for (const bool compressed : {false, true}) {
    const Bytes file = idx({3, 5, 7}, content);
    write(path_, compressed ? gz(file) : file);
    const IdxArray array = read_idx(path_);
    EXPECT_EQ(array.shape, (std::vector<index_t>{3, 5, 7}));
    EXPECT_EQ(array.bytes, content);
  }
}

TEST_F(idx_file, long_files_are_read_whole) {
  const Bytes content = noise(5'000'000);  // several rounds of growth
  write(path_, gz(idx({5000, 1000}, content)));
  EXPECT_EQ(read_idx(path_).bytes, content);
}

TEST_F(idx_file, empty_arrays_are_arrays) {
  write(path_, idx({0, 28, 28}, {}));
  EXPECT_TRUE(read_idx(path_).bytes.empty());
  write(path_, idx({0xffffffff, 0xffffffff, 0xffffffff, 0}, {}));
  EXPECT_TRUE(read_idx(path_).bytes.empty());
}

TEST_F(idx_file, missing_files_and_folders_are_named) {
  EXPECT_EQ(caught<UsageError>([&] { read_idx(folder_ / "none"); }),
            (folder_ / "none") + ": cannot be opened: No such file or directory" + remedy);
  EXPECT_EQ(caught<UsageError>([&] { read_idx(folder_.path()); }),
            folder_.path() + ": cannot be read: Is a directory" + remedy);
}

TEST_F(idx_file, wrong_magic_is_named) {
  EXPECT_EQ(complaint({'P', 'N', 'G', '!', 0, 0}), "not an IDX file: it begins with 504e4721, not with 0000");
  EXPECT_EQ(complaint(idx({1}, {1}, 0x0d)), "IDX magic 00000d01, not that of unsigned bytes, 000008nn");
  EXPECT_EQ(complaint(idx({}, {})), "IDX magic 00000800, not that of 1 to 4 dimensions");
  EXPECT_EQ(complaint(idx({1, 1, 1, 1, 1}, {1})), "IDX magic 00000805, not that of 1 to 4 dimensions");
}

TEST_F(idx_file, headers_must_be_whole) {
  const Bytes whole = idx({2, 2}, {});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(complaint(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))),
              "too short for the header of an IDX file")
        << size;
  }
}

TEST_F(idx_file, promised_and_held_bytes_are_compared) {
  EXPECT_EQ(complaint(idx({3, 5}, noise(14))), "truncated: the header promises 3 x 5 = 15 bytes, the file holds 14");
  EXPECT_EQ(complaint(gz(idx({3, 5}, noise(14)))),
            "truncated: the header promises 3 x 5 = 15 bytes, the file holds 14");
  EXPECT_EQ(complaint(idx({3, 5}, noise(16))), "goes on after the 3 x 5 = 15 bytes that the header promises");
  EXPECT_EQ(complaint(gz(idx({3, 5}, noise(16)))), "goes on after the 3 x 5 = 15 bytes that the header promises");
}

TEST_F(idx_file, absurd_promises_cost_no_memory) {
  const std::int64_t before = peak_memory_bytes();
  EXPECT_EQ(complaint(idx({0xffffffff, 1000}, noise(10))),
            "truncated: the header promises 4294967295 x 1000 = 4294967295000 bytes, the file holds 10");
  const std::string text = complaint(idx({0xffffffff, 0xffffffff, 0xffffffff}, noise(10)));
  EXPECT_NE(text.find("the file holds 10"), std::string::npos) << text;
  EXPECT_LT(peak_memory_bytes() - before, 64 << 20);
}

TEST_F(idx_file, truncated_gzip_is_named) {
  const Bytes whole = gz(idx({100, 100}, noise(10000)));
  const std::size_t sizes[] = {3, 12, whole.size() / 2, whole.size() - 9, whole.size() - 8, whole.size() - 1};
  for (const std::size_t size : sizes) {
    const std::string text = complaint(Bytes(whole.begin(), whole.begin() + static_cast<long>(size)));
    EXPECT_EQ(text.rfind("truncated: the gzip stream breaks off after ", 0), 0u)
        << size << " of " << whole.size() << ": " << text;
  }
}

TEST_F(idx_file, damaged_gzip_is_named) {
  const Bytes whole = gz(idx({100, 100}, noise(10000)));
  Bytes wrong_crc = whole;
  wrong_crc[whole.size() - 8] ^= 1;
  EXPECT_EQ(complaint(wrong_crc), "damaged gzip file: incorrect data check");
  Bytes wrong_length = whole;
  wrong_length[whole.size() - 4] ^= 1;
  EXPECT_EQ(complaint(wrong_length), "damaged gzip file: incorrect length check");
  Bytes wrong_content = whole;
  for (std::size_t i = 0; i < 16; ++i) wrong_content[whole.size() / 2 + i] ^= 0x55;
  EXPECT_EQ(complaint(wrong_content).rfind("damaged gzip file: ", 0), 0u) << complaint(wrong_content);
}

}  // namespace
}  // namespace partita::data::idx_tests
