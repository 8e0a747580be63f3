// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/idx.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <zlib.h>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>

namespace partita::data {
namespace {

// zlib's file reader passes plain files through and inflates gzip.
class ByteReader {
 public:
  explicit ByteReader(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (!file_) refuse_file(path, std::string("cannot be opened: ") + (errno ? std::strerror(errno) : "out of memory"));
    gzbuffer(file_.get(), 1 << 16);
  }

  /// Bytes read: fewer than asked for at the end only. Reading past the end is what makes zlib check the CRC.
  index_t read(std::uint8_t* target, index_t count) {
    index_t total = 0;
    while (total < count) {
      const auto part = static_cast<unsigned>(std::min<index_t>(count - total, 1 << 30));
      errno = 0;
      const int got = gzread(file_.get(), target + total, part);
      int code = Z_OK;
      const char* message = gzerror(file_.get(), &code);
      if (code == Z_ERRNO || (got < 0 && errno != 0))
        refuse_file(path_, std::string("cannot be read: ") + std::strerror(errno));
      if (got < 0) refuse_file(path_, damaged(message));
      total += got;
      position_ += got;
      if (code == Z_BUF_ERROR)
        refuse_file(path_, "truncated: the gzip stream breaks off after " + std::to_string(position_) + " bytes");
      if (got == 0) break;
    }
    return total;
  }

 private:
  // zlib says "<path>: incorrect data check"; the path is said already.
  std::string damaged(const std::string& message) const {
    const std::string prefix = path_ + ": ";
    return "damaged gzip file: " +
           (message.compare(0, prefix.size(), prefix) == 0 ? message.substr(prefix.size()) : message);
  }

  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  index_t position_ = 0;
};

std::string hexadecimal(const std::array<std::uint8_t, 4>& bytes) {
  char text[12];
  std::snprintf(text, sizeof text, "%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
  return text;
}

std::string shape_name(const std::vector<index_t>& shape) {
  std::string text;
  for (const index_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

}  // namespace

void refuse_file(const std::string& path, const std::string& what) { refuse<UsageError>(path, what, data_remedy()); }

std::string data_remedy() {
  return "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-images-idx3-ubyte[.gz] and "
         "t10k-labels-idx1-ubyte[.gz], whole, in a folder (Debian: apt install dataset-fashion-mnist)";
}

IdxArray read_idx(const std::string& path) {
  ByteReader file(path);
  std::array<std::uint8_t, 4> word{};
  const auto read_word = [&] {
    if (file.read(word.data(), 4) < 4) refuse_file(path, "too short for the header of an IDX file");
  };
  read_word();
  // Magic: two zero bytes, the element type (0x08: unsigned byte), the number of dimensions.
  if (word[0] != 0 || word[1] != 0)
    refuse_file(path, "not an IDX file: it begins with " + hexadecimal(word) + ", not with 0000");
  if (word[2] != 0x08) refuse_file(path, "IDX magic " + hexadecimal(word) + ", not that of unsigned bytes, 000008nn");
  if (word[3] < 1 || word[3] > 4)
    refuse_file(path, "IDX magic " + hexadecimal(word) + ", not that of 1 to 4 dimensions");

  IdxArray array;
  array.shape.resize(word[3]);
  for (index_t& extent : array.shape) {
    read_word();
    extent = index_t{word[0]} << 24 | index_t{word[1]} << 16 | index_t{word[2]} << 8 | index_t{word[3]};
  }

  const index_t promised = checked_product(array.shape);
  index_t held = 0;
  while (held < promised) {
    constexpr index_t first_part = 1 << 16;
    array.bytes.resize(std::min(promised, std::max(first_part, 2 * held)));
    const index_t room = std::ssize(array.bytes) - held;
    const index_t got = file.read(array.bytes.data() + held, room);
    held += got;
    if (got < room) {
      refuse_file(path, "truncated: the header promises " + shape_name(array.shape) + " = " + std::to_string(promised) +
                            " bytes, the file holds " + std::to_string(held));
    }
  }
  std::uint8_t more = 0;
  if (file.read(&more, 1) != 0) {
    refuse_file(path, "goes on after the " + shape_name(array.shape) + " = " + std::to_string(promised) +
                          " bytes that the header promises");
  }
  return array;
}

}  // namespace partita::data
