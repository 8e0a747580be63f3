// SPDX-License-Identifier: BSD-3-Clause
// Files of tensors: what is written is what the format's page says, and what is damaged is refused in one line.
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/io/safetensors.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::io::safetensors_tests {
namespace {

using partita::testing::caught;
using partita::testing::TemporaryFolder;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// The format, written by hand.
std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> 8 * i & 0xff);
  return bytes + header + data;
}

template <class T>
std::string raw(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), std::data(values), bytes.size());
  return bytes;
}

void write_sample(const std::string& path) {
  SafeTensorsWriter writer(path, {.metadata = {{"format", "pt"}},
                                  .tensors = {{.name = "a", .type = "F32", .shape = {2, 3}},
                                              {.name = "n", .type = "I64", .shape = {3}},
                                              {.name = "empty", .type = "F32", .shape = {0, 7}},
                                              {.name = "loss", .type = "F32", .shape = {}}}});
  const std::vector<float> tail{4, 5, 6};
  writer.write("loss", std::vector<float>{0.5F});
  writer.write("a", 3, std::span<const float>(tail));
  writer.write("n", std::vector<std::int64_t>{-1, 1LL << 40, 7});
  writer.write("a", 0, std::span<const float>(std::vector<float>{1, 2, 3}));
  EXPECT_FALSE(std::filesystem::exists(path));
  writer.finish();
}

TEST(safetensors, is_what_the_format_says) {
  const TemporaryFolder folder;
  const std::string path = folder / "new/w.safetensors";
  write_sample(path);
  const std::string bytes = bytes_of(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(bytes[8], '{');
  const std::string header = bytes.substr(8, length);
  EXPECT_EQ(header.substr(0, header.find_last_not_of(' ') + 1),
            R"({"__metadata__":{"format":"pt"},"a":{"data_offsets":[0,24],"dtype":"F32","shape":[2,3]},)"
            R"("empty":{"data_offsets":[48,48],"dtype":"F32","shape":[0,7]},)"
            R"("loss":{"data_offsets":[48,52],"dtype":"F32","shape":[]},)"
            R"("n":{"data_offsets":[24,48],"dtype":"I64","shape":[3]}})");
  EXPECT_EQ(bytes.substr(8 + length),
            raw<float>({1, 2, 3, 4, 5, 6}) + raw<std::int64_t>({-1, 1LL << 40, 7}) + raw<float>({0.5F}));
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST(safetensors, comes_back_bit_for_bit) {
  const TemporaryFolder folder;
  const std::string path = folder / "w.safetensors";
  write_sample(path);
  write_sample(path + "2");
  std::filesystem::rename(path + "2", path);
  const SafeTensorsFile file(path);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  ASSERT_NE(file.find("a"), nullptr);
  EXPECT_EQ(file.find("a")->shape, (std::vector<index_t>{2, 3}));
  EXPECT_EQ(file.read<float>(*file.find("a")), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.read<float>(*file.find("a"), 2, 3), (std::vector<float>{3, 4, 5}));
  EXPECT_EQ(file.read<std::int64_t>(*file.find("n")), (std::vector<std::int64_t>{-1, 1LL << 40, 7}));
  EXPECT_EQ(file.read<float>(*file.find("loss")), std::vector<float>{0.5F});
  EXPECT_TRUE(file.read<float>(*file.find("empty")).empty());
  EXPECT_EQ(file.find("b"), nullptr);
  EXPECT_THROW(file.read<float>(*file.find("a"), 4, 3), ShapeError);
  EXPECT_THROW(file.read<float>(*file.find("n")), UsageError);
  EXPECT_THROW(file.read<std::int64_t>(*file.find("a")), UsageError);
}

// 1.0, the largest number and the least, written by hand; a double is rounded once, to nearest even.
TEST(safetensors, reads_every_type_as_float) {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors";
  const std::string header =
      R"({"b":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},"h":{"dtype":"F16","shape":[3],"data_offsets":[6,12]},)"
      R"("i":{"dtype":"I32","shape":[1],"data_offsets":[12,16]},"x":{"dtype":"F4","shape":[5],"data_offsets":[16,19]},)"
      R"("u":{"dtype":"U8","shape":[1],"data_offsets":[19,20]},)"
      R"("d":{"dtype":"F64","shape":[2],"data_offsets":[20,36]}}  )";
  put(path,
      file_of(header, raw<std::uint16_t>({0x3f80, 0x7f7f, 0x0001}) + raw<std::uint16_t>({0x3c00, 0x7bff, 0x0001}) +
                          raw<std::int32_t>({-9}) + "abc" + "u" + raw<double>({0.1, 1 + std::ldexp(3.0, -24)})));
  const SafeTensorsFile file(path);
  EXPECT_EQ(file.read<float>(*file.find("b")),
            (std::vector<float>{1, std::bit_cast<float>(0x7f7f0000u), std::bit_cast<float>(0x00010000u)}));
  EXPECT_EQ(file.read<float>(*file.find("h")), (std::vector<float>{1, 65504, std::ldexp(1.0F, -24)}));
  EXPECT_EQ(file.read<float>(*file.find("d")), (std::vector<float>{0.1F, 1 + std::ldexp(1.0F, -22)}));
  EXPECT_EQ(file.read<std::int64_t>(*file.find("i")), std::vector<std::int64_t>{-9});
  for (const char* other : {"x", "u"})
    EXPECT_NE(caught<UsageError>([&] { file.read<float>(*file.find(other)); }).find("expected F32, F64, BF16 or F16"),
              std::string::npos);
  put(path, file_of(R"({"a\nb":{"dtype":"F\u001b[31m","shape":[1],"data_offsets":[0,1]}})", "x"));
  const SafeTensorsFile odd(path);
  EXPECT_EQ(caught<UsageError>([&] { odd.read<float>(odd.tensors().front()); }),
            path + ": a?b: its dtype is F?[31m: expected F32, F64, BF16 or F16");
}

// A tensor of eight floats, and what is wrong with it.
TEST(safetensors, names_what_is_damaged) {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors";
  const std::string floats(32, 'x');
  const auto complaint = [&](const std::string& bytes) {
    put(path, bytes);
    const std::string text = caught<UsageError>([&] { const SafeTensorsFile file(path); });
    EXPECT_EQ(text.find('\n'), std::string::npos);
    EXPECT_TRUE(text.starts_with(path + ": ")) << text;
    return text.substr(std::min(text.size(), path.size() + 2));
  };
  const auto one = [&](const std::string& members) { return file_of("{\"w\":{" + members + "}}", floats); };

  EXPECT_EQ(complaint(""), "it has 0 bytes: expected a file of safetensors that can be read");
  EXPECT_EQ(
      complaint(raw<std::uint64_t>({~0ULL}) + "{}"),
      "its first 8 bytes say that the header has 18446744073709551615 bytes: expected at most 2 in a file of 10 bytes");
  EXPECT_EQ(complaint(file_of("{", "")), "the header: it is no JSON: expected an undamaged file of safetensors");
  EXPECT_EQ(complaint(file_of("[]", "")), "the header: it is no JSON object: expected {\"tensor\": {...}, ...}");
  EXPECT_EQ(complaint(file_of("{\"a\":\"\xff\"}", "")),
            "the header: it is no JSON: expected an undamaged file of safetensors");
  EXPECT_NE(complaint(file_of("{\"a\":" + std::string(100000, '['), "")).find("a nest of lists"), std::string::npos);
  EXPECT_EQ(complaint(one(R"("shape":[8],"data_offsets":[0,32])")),
            "\"w\": it has no dtype: expected dtype, shape and data_offsets");
  EXPECT_EQ(complaint(one(R"("dtype":7,"shape":[8],"data_offsets":[0,32])")),
            "\"w\": its dtype is no text: expected a text such as \"F32\"");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[-8],"data_offsets":[0,32])")),
            "\"w\": its shape has an entry that is no extent: expected a list of integers >= 0");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[1e3],"data_offsets":[0,32])")),
            "\"w\": its shape has an entry that is no extent: expected a list of integers >= 0");
  std::string ones = "1";
  for (int k = 0; k < 300; ++k) ones += ", 1";
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[)" + ones + R"(],"data_offsets":[0,32])")),
            "\"w\": its shape has 301 extents: expected at most 64");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[9],"data_offsets":[0,32])")),
            "\"w\": 32 bytes of F32 [9]: expected as many as its shape has elements");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[4611686018427387904,4,4],"data_offsets":[0,32])")),
            "\"w\": 32 bytes of F32 [4611686018427387904, 4, 4]: expected as many as its shape has elements");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[8],"data_offsets":[0,32,32])")),
            "\"w\": it has 3 data_offsets: expected begin and end");
  EXPECT_EQ(
      complaint(one(R"("dtype":"F32","shape":[9],"data_offsets":[0,36])")),
      "\"w\": its data_offsets are [0, 36]: expected begin <= end <= 32, the bytes of the file behind the header");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[0],"data_offsets":[8,4])")),
            "\"w\": its data_offsets are [8, 4]: expected begin <= end <= 32, the bytes of the file behind the header");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[7],"data_offsets":[4,32])")),
            "\"w\": it begins at byte 4: expected 0, where the tensor before it ends");
  EXPECT_EQ(complaint(one(R"("dtype":"F32","shape":[7],"data_offsets":[0,28])")),
            "its length: 32 bytes behind the header: expected 28, where the last tensor ends");
  const std::string half = R"("dtype":"F32","shape":[4],"data_offsets":)";
  EXPECT_EQ(complaint(file_of("{\"v\":{" + half + "[0,16]},\"w\":{" + half + "[8,24]}}", floats)),
            "\"w\": it begins at byte 8: expected 16, where the tensor before it ends");
  EXPECT_EQ(complaint(file_of("{\"w\":{" + half + "[0,16]},\"w\":{" + half + "[16,32]}}", floats)),
            "\"w\": it is there twice: expected names that differ");
  EXPECT_EQ(complaint(file_of(R"({"__metadata__":{"n":3}})", "")),
            "__metadata__ \"n\": it is no text: expected a text");
  EXPECT_EQ(complaint(file_of(R"({"__metadata__":[]})", "")),
            "__metadata__: it is no JSON object: expected texts by name");
  EXPECT_EQ(complaint(file_of("{\"a\\n" + std::string(90, 'b') + "\":1}", "")),
            "\"a?" + std::string(78, 'b') + "...\": it has no dtype: expected dtype, shape and data_offsets");

  EXPECT_NE(caught<UsageError>([&] { SafeTensorsFile(folder / "none"); }).find("No such file"), std::string::npos);
  EXPECT_NE(caught<UsageError>([&] { SafeTensorsFile(folder.path()); }).find("it is a folder"), std::string::npos);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(caught<UsageError>([&] { SafeTensorsFile(folder / "pipe"); }).find("it is a pipe"), std::string::npos);
}

// Reads all that a file claims to have: true when it is a file of tensors.
bool readable(const std::string& path) {
  try {
    const SafeTensorsFile file(path);
    for (const SafeTensor& tensor : file.tensors()) {
      if (tensor.type == "F32") file.read<float>(tensor);
      if (tensor.type == "I64") file.read<std::int64_t>(tensor);
    }
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

TEST(safetensors, every_shorter_or_longer_file_is_refused) {
  const TemporaryFolder folder;
  const std::string path = folder / "w.safetensors";
  write_sample(path);
  const std::string bytes = bytes_of(path);
  ASSERT_TRUE(readable(path));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    put(path, bytes.substr(0, length));
    EXPECT_FALSE(readable(path)) << length;
  }
  put(path, bytes + "x");
  EXPECT_FALSE(readable(path));
}

// A header that was changed anywhere is refused or means something: nothing crashes, and no memory is taken for what
// is not there.
TEST(safetensors, random_damage_of_the_header_is_refused_or_means_something) {
  const TemporaryFolder folder;
  const std::string path = folder / "w.safetensors";
  write_sample(path);
  const std::string bytes = bytes_of(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  const auto any = [](std::uint64_t i, std::uint64_t below) { return random_bits(11, Stream::test, i) % below; };
  int refused = 0;
  constexpr int cases = 500;
  for (std::uint64_t c = 0; c < cases; ++c) {
    std::string damaged = bytes;
    const std::uint64_t changes = 1 + any(100 * c, 3);
    for (std::uint64_t k = 0; k < changes; ++k) {
      const std::uint64_t at = any(100 * c + 3 * k + 1, 8 + length);
      // A flipped bit, another digit, or a sign of JSON.
      const std::uint64_t kind = any(100 * c + 3 * k + 2, 3), value = any(100 * c + 3 * k + 3, 1000);
      damaged[at] = kind == 0   ? static_cast<char>(damaged[at] ^ (1 << value % 8))
                    : kind == 1 ? static_cast<char>('0' + value % 10)
                                : "{}[],:\"\\-e"[value % 10];
    }
    put(path, damaged);
    refused += readable(path) ? 0 : 1;
  }
  EXPECT_GT(refused, cases / 2);
}

TEST(safetensors, a_writer_that_does_not_finish_leaves_nothing) {
  const TemporaryFolder folder;
  const std::string path = folder / "w.safetensors";
  write_sample(path);
  const std::string before = bytes_of(path);
  const SafeTensorsHeader header{.metadata = {}, .tensors = {{.name = "a", .type = "F32", .shape = {2}}}};
  {
    SafeTensorsWriter writer(path, header);
    EXPECT_NE(caught<UsageError>([&] { SafeTensorsWriter(path, header); }).find("another run is writing this file"),
              std::string::npos);
    EXPECT_THROW(writer.write("a", std::vector<float>{1, 2, 3}), ShapeError);
    EXPECT_THROW(writer.write("a", std::vector<std::int64_t>{1}), ShapeError);
    EXPECT_THROW(writer.write("b", std::vector<float>{1}), ShapeError);
    writer.write("a", std::vector<float>{1});
    EXPECT_THROW(writer.finish(), ShapeError);
  }
  EXPECT_EQ(bytes_of(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(safetensors, names_that_cannot_be_written_are_refused_and_left_alone) {
  const TemporaryFolder folder;
  const auto complaint = [](const std::string& path) { return caught<UsageError>([&] { try_safetensors(path); }); };
  put(folder / "deck.toml", "[train]\n");
  EXPECT_NE(complaint(folder / "deck.toml").find("another file has this name"), std::string::npos);
  EXPECT_NE(complaint(folder.path()).find("it is a folder"), std::string::npos);
  EXPECT_NE(complaint("/dev/null").find("it is a device"), std::string::npos);
  EXPECT_NE(complaint("/proc/nowhere/w").find("expected the name of a new file"), std::string::npos);
  EXPECT_NE(complaint("").find("an empty path"), std::string::npos);
  std::filesystem::create_symlink(folder / "nowhere", folder / "link");
  EXPECT_NE(complaint(folder / "link").find("a link that leads to no file"), std::string::npos);
  EXPECT_EQ(bytes_of(folder / "deck.toml"), "[train]\n");

  write_sample(folder / "w");
  std::filesystem::create_symlink(folder / "w", folder / "to_w");
  try_safetensors(folder / "to_w");
  try_safetensors(folder / "a/b/new");
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
  write_sample(folder / "other");
  std::filesystem::permissions(folder / "other", std::filesystem::perms::owner_read);
  EXPECT_NE(complaint(folder / "other").find("it may only be read"), std::string::npos);
}

}  // namespace
}  // namespace partita::io::safetensors_tests
