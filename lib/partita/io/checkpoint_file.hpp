// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <partita/io/hdf5_file.hpp>

namespace partita::io {

/// What a training run needs to go on, as one HDF5 file: scalars are attributes of the root, tensors are whole ones by
/// their global names, whatever mesh they come from.
///
///     /              Conventions = "Partita-checkpoint-1", step, ...
///     /config        the resolved deck
///     /losses        of the steps that are done
///     /weights/N  /m/N  /v/N  /statistics/N     float32, in the shape of tensor N
///
/// The first 512 bytes are a text outside of HDF5: the size of the file and the CRC-32 of all that follows. A reader
/// tests it before HDF5, which damaged bytes can crash, sees the file; other programs open the file as any HDF5.
///
/// Names, for path `c.h5`: c.h5.part while it is written; then it is brought to disk and renamed, so that c.h5 is
/// always a whole checkpoint, the previous one until the new one is.
class CheckpointWriter {
 public:
  /// Throws   Error when the file cannot be made.
  explicit CheckpointWriter(const std::string& path);
  /// Without finish(), nothing is left behind.
  ~CheckpointWriter();
  CheckpointWriter(CheckpointWriter&&) noexcept = default;
  CheckpointWriter& operator=(CheckpointWriter&&) = delete;

  void attributes(const metrics::Attributes& attributes) { file_->write_attributes("/", attributes); }
  /// A dataset of one dimension, or a scalar text.
  void column(const std::string& name, const std::vector<double>& values);
  void text(const std::string& name, const std::string& value);
  /// Shapes   values: the whole tensor, row-major.
  void tensor(const std::string& group, const std::string& name, const std::vector<index_t>& shape,
              std::span<const float> values);

  /// Seals the file, brings it to disk and gives it its name. Returns its size in bytes.
  /// Throws   Error naming the file; what had the name before is left as it was.
  index_t finish();

 private:
  std::string path_, part_;
  std::unique_ptr<File> file_;
};

/// A checkpoint that is whole, for reading.
class CheckpointFile {
 public:
  /// Throws   UsageError for a file that cannot be read, is no checkpoint, or is damaged.
  explicit CheckpointFile(const std::string& path);

  const std::string& path() const { return file_->path(); }
  /// Throws   UsageError for one that is not there, or is of another type: here and below.
  std::int64_t integer(const std::string& attribute) const;
  double real(const std::string& attribute) const;
  std::string text_attribute(const std::string& attribute) const;
  std::vector<double> column(const std::string& name) const;
  std::string text(const std::string& name) const;
  /// Names of the tensors of a group; none where there is no such group.
  std::vector<std::string> tensors(const std::string& group) const;
  std::vector<float> tensor(const std::string& group, const std::string& name, const std::vector<index_t>& shape) const;

 private:
  template <class T>
  T attribute(const std::string& name) const;

  std::unique_ptr<File> file_;
};

/// Refuses a path where no checkpoint may be put: something else than nothing or a checkpoint is there, or the folder
/// cannot be written. Leaves nothing behind.
/// Throws   UsageError.
void try_checkpoint(const std::string& path);

}  // namespace partita::io
