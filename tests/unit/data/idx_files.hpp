// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <zlib.h>

namespace partita::testing {

using Bytes = std::vector<std::uint8_t>;

/// The bytes of an IDX file: magic, extents big-endian, then what is given, whether or not it fits.
inline Bytes idx(const std::vector<std::uint32_t>& shape, const Bytes& content, std::uint8_t type = 0x08) {
  Bytes file{0, 0, type, static_cast<std::uint8_t>(shape.size())};
  for (const std::uint32_t extent : shape) {
    for (int shift = 24; shift >= 0; shift -= 8) file.push_back(static_cast<std::uint8_t>(extent >> shift));
  }
  file.insert(file.end(), content.begin(), content.end());
  return file;
}

/// count bytes that look like nothing in particular.
inline Bytes noise(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>((i * 2654435761u) >> 13);
  return bytes;
}

inline void write(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot write " + path);
}

inline Bytes gzipped(const std::string& scratch_path, const Bytes& bytes) {
  gzFile gz = gzopen(scratch_path.c_str(), "wb");
  if (!gz || gzwrite(gz, bytes.data(), static_cast<unsigned>(bytes.size())) != static_cast<int>(bytes.size()) ||
      gzclose(gz) != Z_OK) {
    throw std::runtime_error("cannot compress to " + scratch_path);
  }
  std::ifstream file(scratch_path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace partita::testing
