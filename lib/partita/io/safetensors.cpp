// SPDX-License-Identifier: BSD-3-Clause
#include <partita/io/safetensors.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/core/printable.hpp>
#include <partita/io/files.hpp>

namespace partita::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr index_t longest_header = 100'000'000;  // the format's own limit

[[noreturn]] void unreadable(const std::string& path, const std::string& found) {
  refuse<UsageError>(path, found, "a file of safetensors that can be read");
}

void read_bytes(int descriptor, const std::string& path, index_t offset, index_t count, void* to) {
  for (index_t done = 0; done < count;) {
    const ssize_t got = ::pread(descriptor, static_cast<char*>(to) + done, static_cast<std::size_t>(count - done),
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unreadable(path, std::strerror(errno));
    if (got == 0) unreadable(path, fmt::format("it ends at byte {}", offset + done));
    done += got;
  }
}

template <class Stored, class Number>
void convert(int descriptor, const std::string& path, index_t offset, std::vector<Number>& to) {
  constexpr index_t at_once = 1 << 18;
  const index_t n = std::ssize(to);
  if constexpr (std::is_same_v<Stored, Number>) {
    read_bytes(descriptor, path, offset, n * static_cast<index_t>(sizeof(Stored)), to.data());
  } else {
    std::vector<Stored> piece(static_cast<std::size_t>(std::min(n, at_once)));
    for (index_t first = 0; first < n; first += at_once) {
      const index_t count = std::min(at_once, n - first);
      constexpr auto size = static_cast<index_t>(sizeof(Stored));
      read_bytes(descriptor, path, offset + first * size, count * size, piece.data());
      std::transform(piece.begin(), piece.begin() + count, to.begin() + first,
                     [](Stored value) { return static_cast<Number>(value); });
    }
  }
}

}  // namespace

SafeTensorsFile::SafeTensorsFile(const std::string& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // waits for no other end of a pipe
  if (descriptor_ < 0) unreadable(path, std::strerror(errno));
  try {
    struct stat found {};
    if (::fstat(descriptor_, &found) != 0) unreadable(path, std::strerror(errno));
    if (!S_ISREG(found.st_mode)) unreadable(path, kind_of_file(found.st_mode));
    const index_t size = found.st_size;
    if (size < SafeTensorsHeader::length_bytes) unreadable(path, fmt::format("it has {} bytes", size));
    std::uint64_t length = 0;
    read_bytes(descriptor_, path, 0, SafeTensorsHeader::length_bytes, &length);
    const index_t most = std::min(size - SafeTensorsHeader::length_bytes, longest_header);
    if (length > static_cast<std::uint64_t>(most))
      refuse<UsageError>(path, fmt::format("its first 8 bytes say that the header has {} bytes", length),
                         fmt::format("at most {} in a file of {} bytes", most, size));
    std::string json(length, '\0');
    data_ = SafeTensorsHeader::length_bytes + static_cast<index_t>(length);
    read_bytes(descriptor_, path, SafeTensorsHeader::length_bytes, static_cast<index_t>(length), json.data());
    header_ = parse_header(path, json, size - data_);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

SafeTensorsFile::~SafeTensorsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

SafeTensorsFile::SafeTensorsFile(SafeTensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      data_(other.data_),
      header_(std::move(other.header_)) {}

const SafeTensor* SafeTensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(header_.tensors.begin(), header_.tensors.end(),
                                  [&](const SafeTensor& each) { return each.name == name; });
  return found == header_.tensors.end() ? nullptr : &*found;
}

template <class Number>
std::vector<Number> SafeTensorsFile::read(const SafeTensor& tensor, index_t first, index_t count) const {
  constexpr bool real = std::is_floating_point_v<Number>;
  const std::string_view allowed = real ? "F32, F64, BF16 or F16" : "I32 or I64";
  if (first < 0 || count < 0 || first > tensor.elements() - count)
    refuse<ShapeError>("SafeTensorsFile",
                       fmt::format("{} elements from {} on of \"{}\"", count, first, printable(tensor.name)),
                       fmt::format("a part of {}", tensor.elements()));
  std::vector<Number> values(static_cast<std::size_t>(count));
  const index_t offset = data_ + tensor.offset + first * bytes_of_type(tensor.type);
  const auto from = [&]<class Stored>(Stored) { convert<Stored>(descriptor_, path_, offset, values); };
  if (real && tensor.type == "F32")
    from(float());
  else if (real && tensor.type == "F64")
    from(double());
  else if (real && tensor.type == "BF16")
    from(bfloat16());
  else if (real && tensor.type == "F16")
    from(float16());
  else if (!real && tensor.type == "I32")
    from(std::int32_t());
  else if (!real && tensor.type == "I64")
    from(std::int64_t());
  else
    refuse<UsageError>(path_ + ": " + printable(tensor.name), "its dtype is " + printable(tensor.type),
                       std::string(allowed));
  return values;
}

template std::vector<float> SafeTensorsFile::read(const SafeTensor&, index_t, index_t) const;
template std::vector<std::int64_t> SafeTensorsFile::read(const SafeTensor&, index_t, index_t) const;

}  // namespace partita::io
