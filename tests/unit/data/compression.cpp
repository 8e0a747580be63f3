// SPDX-License-Identifier: BSD-3-Clause
// Held against the programs themselves.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/data/compression.hpp>
#include <partita/data/text.hpp>

#include <support/temporary_folder.hpp>

namespace partita::data::compression_tests {
namespace {

using Bytes = std::vector<std::uint8_t>;

// What `program -9 < bytes | wc -c` prints; -1 where there is no such program.
index_t size_by(const char* program, const Bytes& bytes) {
  const partita::testing::TemporaryFolder folder;
  std::ofstream(folder / "text", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const std::string name = program;
  const std::string line =
      "command -v " + name + " > /dev/null && " + name + " -9 < " + folder / "text" + " | wc -c || echo -1";
  std::FILE* answer = popen(line.c_str(), "r");
  long long size = -2;
  if (answer == nullptr || std::fscanf(answer, "%lld", &size) != 1) ADD_FAILURE() << line;
  if (answer != nullptr) pclose(answer);
  return size;
}

// Words of a small vocabulary, short ones more often: something to compress.
Bytes babble(index_t words) {
  Bytes bytes;
  for (index_t w = 0; w < words; ++w) {
    const double u = uniform(7, Stream::test, static_cast<std::uint64_t>(w));
    const auto word = static_cast<std::uint64_t>(2000 * u * u * u);
    const std::uint64_t letters = random_bits(8, Stream::test, word);
    for (std::uint64_t l = 0; l < 2 + word % 7; ++l)
      bytes.push_back(static_cast<std::uint8_t>('a' + (letters >> (5 * l)) % 26));
    bytes.push_back(w % 11 == 10 ? '\n' : ' ');
  }
  return bytes;
}

Bytes noise(index_t count) {
  Bytes bytes;
  for (index_t i = 0; i < count; ++i)
    bytes.push_back(static_cast<std::uint8_t>(random_bits(9, Stream::test, static_cast<std::uint64_t>(i))));
  return bytes;
}

void expect_sizes_of_the_programs(const Bytes& bytes) {
  const index_t gzip = size_by("gzip", bytes), xz = size_by("xz", bytes);
  if (gzip >= 0) {
    EXPECT_NEAR(static_cast<double>(gzip_bytes(bytes)), static_cast<double>(gzip), 0.001 * static_cast<double>(gzip))
        << bytes.size();
  }
  if (xz >= 0) {
    EXPECT_EQ(xz_bytes(bytes), xz) << bytes.size();
  }
}

TEST(compression, sizes_are_those_of_gzip_and_xz) {
  expect_sizes_of_the_programs({});
  expect_sizes_of_the_programs({'a'});
  expect_sizes_of_the_programs(Bytes(100'000, 'a'));
  expect_sizes_of_the_programs(babble(60'000));
  expect_sizes_of_the_programs(noise(70'000));
}

TEST(compression, sizes_of_the_held_out_bytes_of_the_corpus_are_theirs) {
  std::ifstream file(default_text());
  if (!file) GTEST_SKIP() << "the set-up has not made " << default_text();
  expect_sizes_of_the_programs(read_text(default_text(), 0.1).held_out);
}

// A gzip stream of nothing: 10 bytes of header, 2 of an empty block, 8 of trailer (RFC 1952, RFC 1951).
TEST(compression, header_and_trailer_are_counted) { EXPECT_EQ(gzip_bytes({}), 20); }

TEST(compression, bits_of_a_uniform_model_are_eight) {
  EXPECT_DOUBLE_EQ(bits_of_nats(std::log(256.0)), 8);
  EXPECT_DOUBLE_EQ(bits_per_byte(250, 1000), 2);
}

}  // namespace
}  // namespace partita::data::compression_tests
