// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/io/output.hpp>

namespace partita::io {

/// One tensor of a file: row-major, little-endian.
struct SafeTensor {
  std::string name;
  std::string type;  ///< "F32", "F64", "BF16", "F16", "I32", "I64"; a file may hold others, which are never read
  std::vector<index_t> shape;
  index_t offset = 0;  ///< of its first byte, behind the header
  index_t bytes = 0;

  index_t elements() const;
};

/// What stands ahead of the tensors' bytes.
struct SafeTensorsHeader {
  static constexpr index_t length_bytes = 8;  ///< of the number that comes first: how long the JSON is

  std::map<std::string, std::string> metadata;
  std::vector<SafeTensor> tensors;  ///< in the order of their bytes: adjacent, from the first byte to the last
};

/// Bytes of an element; 0 for a type that this program does not know.
index_t bytes_of_type(std::string_view type);

/// The JSON of a header, padded with spaces so that 8 + its length is a multiple of 8; offsets and bytes are filled in.
std::string format_header(SafeTensorsHeader& header);

/// The reverse, checked throughout: dtypes, shapes, offsets that cover `data_bytes` without gap or overlap, no name
/// twice.
/// Throws   UsageError "<path>: <tensor>: <found>: expected ...".
SafeTensorsHeader parse_header(const std::string& path, std::string_view json, index_t data_bytes);

/// A file of tensors, open for reading.
///
///     8 bytes: n, the header's length   |   n bytes: JSON   |   the tensors' bytes, one after the other
///
/// Throws   UsageError for a file that is missing, damaged or truncated: one line that names the file, the tensor, what
///          was found and what is allowed. What a header claims is compared with the file before memory is taken for
///          it.
/// Source   https://github.com/huggingface/safetensors, README, "Format".
class SafeTensorsFile {
 public:
  explicit SafeTensorsFile(const std::string& path);
  ~SafeTensorsFile();
  SafeTensorsFile(SafeTensorsFile&& other) noexcept;
  SafeTensorsFile& operator=(SafeTensorsFile&&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const std::vector<SafeTensor>& tensors() const { return header_.tensors; }
  /// Null where there is none of this name.
  const SafeTensor* find(std::string_view name) const;

  /// Elements [first, first + count) of a tensor. Number is float (of F32, F64, BF16, F16; rounded once), or
  /// std::int64_t (of I32, I64).
  template <class Number>
  std::vector<Number> read(const SafeTensor& tensor, index_t first, index_t count) const;
  template <class Number>
  std::vector<Number> read(const SafeTensor& tensor) const {
    return read<Number>(tensor, 0, tensor.elements());
  }

 private:
  std::string path_;
  int descriptor_ = -1;
  index_t data_ = 0;  // where the tensors' bytes begin
  SafeTensorsHeader header_;
};

/// A file of tensors that is written: the header first, then the tensors in any order, piece by piece, under the name
/// "<path>.tmp", which finish() makes the file's. Without finish() nothing is left.
///
/// Throws   UsageError for a name that try_safetensors would refuse, or another writer of it; Error when the system
///          does not take what is written.
class SafeTensorsWriter {
 public:
  /// Of each tensor name, type ("F32" or "I64") and shape are given. Parent folders are made.
  SafeTensorsWriter(const std::string& path, SafeTensorsHeader header);
  ~SafeTensorsWriter();
  SafeTensorsWriter(const SafeTensorsWriter&) = delete;
  SafeTensorsWriter& operator=(const SafeTensorsWriter&) = delete;

  const SafeTensorsHeader& header() const { return header_; }
  /// Elements first, first + 1, ... of a tensor; T is float for F32, std::int64_t for I64.
  template <class T>
  void write(std::string_view tensor, index_t first, std::span<const T> values);
  template <class T>
  void write(std::string_view tensor, const std::vector<T>& values) {
    write(tensor, 0, std::span<const T>(values));
  }
  /// Every byte was written. Brings data and name to disk.
  void finish();

 private:
  void put(index_t offset, const void* bytes, index_t count);

  std::string path_, draft_;
  SafeTensorsHeader header_;
  index_t data_ = 0, written_ = 0;
  std::optional<LockedFile> file_;
};

/// Refuses a path at which no file of tensors can be written, and leaves nothing behind. What may be there: nothing, or
/// an ordinary file of tensors that may be written.
/// Throws   UsageError "<path>: <what is there>: expected ...".
void try_safetensors(const std::string& path);

}  // namespace partita::io
