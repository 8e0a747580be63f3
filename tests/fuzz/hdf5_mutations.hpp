// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "support.hpp"

namespace partita::fuzz {

/// A valid HDF5 file, kept in memory.
class BaseFile {
 public:
  /// The one that `write` writes to a path.
  explicit BaseFile(void (*write)(const std::string& path));

  const std::string& bytes() const { return bytes_; }
  /// Its objects but the root, by path, in one order.
  const std::vector<std::string>& objects() const { return objects_; }

  /// Writes the file with the changes that the input says: of names, types, extents, values, attributes and links. It
  /// stays valid HDF5, since the library itself crashes on damaged bytes.
  void write_changed(const std::string& path, Bytes input) const;

 private:
  std::string bytes_;
  std::vector<std::string> objects_;
};

void write_file(const std::string& path, std::string_view bytes);
std::string read_file(const std::string& path);

}  // namespace partita::fuzz
