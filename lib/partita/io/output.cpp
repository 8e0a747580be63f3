// SPDX-License-Identifier: BSD-3-Clause
#include <partita/io/output.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/io/files.hpp>
#include <partita/io/hdf5_file.hpp>

namespace partita::io {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void unwritable(const std::string& path, const std::string& found) {
  refuse<UsageError>(path, found, "the name of a new file or of a record of Partita, in a folder that can be written");
}

bool same_file(int descriptor, const std::string& path) {
  struct stat mine {
  }, named{};
  return ::fstat(descriptor, &mine) == 0 && ::lstat(path.c_str(), &named) == 0 && mine.st_dev == named.st_dev &&
         mine.st_ino == named.st_ino;
}

// Of the whole file, kept by this opening of it: unlike other locks of POSIX it outlives the opening and closing of the
// same file by HDF5, and HDF5's readers do not ask for it. File systems without locks do without.
bool lock(int descriptor) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(descriptor, F_OFD_SETLK, &whole) == 0) return true;
  return errno != EAGAIN && errno != EACCES;
}

std::optional<metrics::Attribute> root_attribute(const std::string& path, const char* name) {
  try {
    return File::open(path).read_attribute("/", name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool is_record(const std::string& path) {
  const auto convention = root_attribute(path, "Conventions");
  const auto* text = convention ? std::get_if<std::string>(&*convention) : nullptr;
  return text != nullptr && text->starts_with("Partita-");
}

// Of what is there, if anything is. As root every file can be written: what counts is what its owner said.
void check_replaceable(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    unwritable(path, std::strerror(errno));
  }
  if (!S_ISREG(found.st_mode)) unwritable(path, kind_of_file(found.st_mode));
  if ((found.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0 || ::access(path.c_str(), W_OK) != 0)
    unwritable(path, "it may only be read");
  if (!is_record(path)) unwritable(path, "another file has this name, which is no record of Partita");
}

// Where the record will lie: a link stands for its target.
std::string resolved(const std::string& path) {
  if (path.empty()) unwritable(path, "an empty path");
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::canonical(path, error);
  if (error) unwritable(path, "it is a link that leads to no file");
  return target.string();
}

[[noreturn]] void taken(const std::string& path) {
  refuse<UsageError>(path, "another run is writing this record", "a name of its own for each run");
}

}  // namespace

std::optional<LockedFile> LockedFile::take(const std::string& path, bool create) {
  while (true) {
    // Neither waits for the other end of a pipe nor follows a link.
    const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (create ? O_CREAT : 0);
    LockedFile file(::open(path.c_str(), flags, 0666));
    if (file.descriptor_ < 0) {
      if (errno == ENOENT && !create) return std::nullopt;
      unwritable(path, errno == ELOOP ? "it is a link" : std::strerror(errno));
    }
    struct stat found {};
    if (::fstat(file.descriptor_, &found) != 0) unwritable(path, std::strerror(errno));
    if (!S_ISREG(found.st_mode)) unwritable(path, kind_of_file(found.st_mode));
    if (!lock(file.descriptor_)) return std::nullopt;
    // Between opening and locking it may have been renamed: then another one has the name.
    if (same_file(file.descriptor_, path)) return file;
  }
}

LockedFile::~LockedFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Output::Output(const std::string& path) : path_(resolved(path)) {
  check_replaceable(path_);
  std::error_code error;
  const fs::path folder = fs::path(path_).parent_path();
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) unwritable(path_, error.message());

  // A run holds its draft until that becomes the part, then the part: whoever finds neither locked is alone.
  const auto part_is_free = [&] { return !fs::exists(part(), error) || LockedFile::take(part(), false); };
  if (!part_is_free()) taken(path_);
  check_replaceable(part());
  draft_ = LockedFile::take(draft(), true);
  if (!draft_) taken(path_);
  if (!part_is_free()) {
    discard_draft();
    taken(path_);
  }
}

Output::~Output() { discard_draft(); }

void Output::discard_draft() {
  if (draft_) ::unlink(draft().c_str());
  draft_.reset();
}

bool Output::holds_complete_record() const {
  return is_record(path_) && root_attribute(path_, "complete") == metrics::Attribute(std::int64_t{1});
}

void Output::begin() {
  rename_file(draft(), part());
  part_ = std::move(draft_);
  draft_.reset();
}

void Output::draw_up() {
  // Somebody who tries the name holds the draft for a moment.
  while (!draft_) {
    draft_ = LockedFile::take(draft(), true);
    if (!draft_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::string Output::settle(bool complete) {
  const bool keeps_old = !complete && holds_complete_record();
  const std::string to = keeps_old ? part() : path_;
  rename_file(draft(), to);
  draft_.reset();
  if (!keeps_old) ::unlink(part().c_str());
  part_.reset();
  sync_folder(path_);
  return to;
}

void try_output(const std::string& path) {
  // The first folder that is missing tells whether the others can be made.
  const std::string target = resolved(path);
  fs::path missing;
  std::error_code error;
  for (fs::path folder = fs::path(target).parent_path(); !folder.empty() && !fs::exists(folder, error);
       folder = folder.parent_path())
    missing = folder;
  if (missing.empty()) {
    const Output output(target);
    return;
  }
  if (!fs::create_directory(missing, error)) unwritable(target, error.message());
  fs::remove(missing, error);
}

}  // namespace partita::io
