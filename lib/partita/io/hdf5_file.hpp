// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/metrics/table.hpp>

namespace partita::io {

/// The HDF5 library that is linked: "1.10.8".
std::string hdf5_version();

/// An open HDF5 file, with the few operations that a record needs. Objects are named by absolute path: "/steps/loss".
///
/// Datasets are contiguous, at full extent, allocated and filled when they are created, so that later writes change raw
/// data alone: after one flush() a reader can open the file whatever becomes of this process.
///
/// Locks    file locking is off (a killed writer must not keep others from reading, and some file systems have no
///          locks).
/// Errors   every failure throws Error with the operation, the object, the file and HDF5's or the system's reason; HDF5
///          itself prints nothing.
class File {
 public:
  enum class Type { float64, int64, int8, string, float32 };

  /// A new file; an old one of that name is overwritten. The first `reserved` bytes (0, or a power of 2 from 512 on)
  /// are left to the caller: HDF5's user block.
  static File create(const std::string& path, index_t reserved = 0);
  /// An existing file, for reading.
  static File open(const std::string& path);

  /// Closes; a failure is only reported by close().
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;

  const std::string& path() const { return path_; }

  void create_group(const std::string& group);
  bool exists(const std::string& object) const;
  /// A second name for an object (hard link).
  void link(const std::string& object, const std::string& alias);

  /// On a dataset or group ("/" is the root); an attribute of that name is replaced.
  void write_attributes(const std::string& object, const metrics::Attributes& attributes);
  metrics::Attribute read_attribute(const std::string& object, const std::string& name) const;

  /// No extents: a scalar. Filled with NaN, 0 or "".
  void create_dataset(const std::string& dataset, Type type, const std::vector<index_t>& extents);
  std::vector<index_t> extents(const std::string& dataset) const;
  Type type(const std::string& dataset) const;

  /// Marks a one-dimensional dataset as the scale of a dimension.
  void make_scale(const std::string& dataset, const std::string& dimension);
  void attach_scale(const std::string& dataset, int axis, const std::string& scale);

  /// Writes or reads all values.
  void write(const std::string& dataset, const metrics::ColumnData& data);
  metrics::ColumnData read(const std::string& dataset) const;
  /// The same of float32, which no table has: read() gives such a dataset as doubles.
  void write(const std::string& dataset, std::span<const float> values);
  std::vector<float> read_floats(const std::string& dataset) const;
  /// Names of the objects in a group, ascending.
  std::vector<std::string> names(const std::string& group) const;
  /// Writes (numbers only) rows first_row, first_row + 1, ... as many as data holds.
  void write_rows(const std::string& dataset, index_t first_row, const metrics::ColumnData& data);
  /// Copies the first `rows` rows of a numeric dataset of `source` to the dataset of the same name and type here, in
  /// pieces.
  void copy_rows(const File& source, const std::string& dataset, index_t rows);

  /// Hands everything to the operating system.
  void flush();
  /// flush() and close; the data are on disk when it returns.
  void close();

 private:
  class Dataset;
  File(std::string path, std::int64_t id) : path_(std::move(path)), id_(id) {}
  template <class Call>
  auto check(const char* operation, const std::string& object, Call&& call) const;

  std::string path_;
  std::int64_t id_;
};

}  // namespace partita::io
