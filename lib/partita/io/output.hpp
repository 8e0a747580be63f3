// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace partita::io {

/// A file that is open and locked for this process alone. The lock goes with the process, however that ends; readers
/// are not kept out.
class LockedFile {
 public:
  /// Opens the file (made when it is missing and `create`) and locks it; none when another process holds the lock, or
  /// there is no file and none shall be made.
  /// Throws   UsageError when it cannot be opened, or is no ordinary file.
  static std::optional<LockedFile> take(const std::string& path, bool create);

  ~LockedFile();
  LockedFile(LockedFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  LockedFile& operator=(LockedFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  int descriptor() const { return descriptor_; }

 private:
  explicit LockedFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// The name of a record that is to be written, checked and taken: no other run may take it while this lives, and a run
/// that was killed does not keep it.
///
/// Parent folders are made. What may be at the name: nothing, or a record of Partita that is an ordinary file and may
/// be written; a link to one stands for what it points to. Anything else (a device, a pipe, a folder, another file,
/// also at `.part`) is refused and left as it is.
///
/// Throws   UsageError "<path>: <what is there>: expected ...".
class Output {
 public:
  explicit Output(const std::string& path);
  /// Without a record begun, nothing is left behind but the folders.
  ~Output();
  Output(Output&&) noexcept = default;
  Output& operator=(Output&&) = delete;

  const std::string& path() const { return path_; }     ///< of the record when it is whole
  std::string part() const { return path_ + ".part"; }  ///< of the record while it is written
  std::string draft() const { return path_ + ".tmp"; }  ///< of a file until it is whole enough to have a name
  /// What is at path() says that it is whole.
  bool holds_complete_record() const;

  /// The draft, which is locked, becomes the part.
  void begin();
  /// A new, empty draft, locked.
  void draw_up();
  /// The draft becomes the record or, where that would cost a complete one, the part; a part that is left over goes.
  /// Brings the names to disk. Returns where the record is.
  std::string settle(bool complete);
  /// Gives the draft up.
  void discard_draft();

 private:
  std::string path_;
  std::optional<LockedFile> draft_, part_;
};

/// Refuses a path that Output would refuse, and leaves nothing behind.
void try_output(const std::string& path);

}  // namespace partita::io
