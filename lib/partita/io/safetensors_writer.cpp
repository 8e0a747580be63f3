// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/io/files.hpp>
#include <partita/io/safetensors.hpp>

namespace partita::io {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_name(const std::string& path, const std::string& found) {
  refuse<UsageError>(path, found,
                     "the name of a new file or of a file of safetensors, in a folder that can be written");
}

void check_tensor_file(const std::string& path) {
  if (path.empty()) refuse_name("\"\"", "an empty path");
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) {
    if (errno != ENOENT) refuse_name(path, std::strerror(errno));
    if (::lstat(path.c_str(), &found) == 0) refuse_name(path, kind_of_file(found.st_mode));
    return;
  }
  if (!S_ISREG(found.st_mode)) refuse_name(path, kind_of_file(found.st_mode));
  if ((found.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0 || ::access(path.c_str(), W_OK) != 0)
    refuse_name(path, "it may only be read");
  try {
    const SafeTensorsFile readable(path);
  } catch (const UsageError&) {
    refuse_name(path, "another file has this name, which is no file of safetensors");
  }
}

// A link stands for what it points to.
std::string target_of(const std::string& path) {
  std::error_code error;
  return fs::is_symlink(path, error) ? fs::canonical(path, error).string() : path;
}

std::string draft_of(const std::string& path) { return path + ".tmp"; }

LockedFile take(const std::string& path) {
  std::optional<LockedFile> file = LockedFile::take(draft_of(path), true);
  if (!file) refuse<UsageError>(path, "another run is writing this file", "a name of its own for each run");
  return std::move(*file);
}

}  // namespace

SafeTensorsWriter::SafeTensorsWriter(const std::string& path, SafeTensorsHeader header) : header_(std::move(header)) {
  check_tensor_file(path);
  path_ = target_of(path);
  draft_ = draft_of(path_);
  std::error_code error;
  if (const fs::path folder = fs::path(path_).parent_path(); !folder.empty()) fs::create_directories(folder, error);
  if (error) refuse_name(path_, error.message());
  for (const SafeTensor& tensor : header_.tensors)
    if (tensor.type != "F32" && tensor.type != "I64")
      refuse<UsageError>(tensor.name, "its dtype is " + tensor.type, "F32 or I64");
  const std::string text = format_header(header_);
  const std::uint64_t length = text.size();
  file_ = take(path_);
  if (::ftruncate(file_->descriptor(), 0) != 0)
    throw Error(fmt::format("cannot write '{}': {}", draft_, std::strerror(errno)));
  data_ = SafeTensorsHeader::length_bytes + std::ssize(text);
  put(0, &length, SafeTensorsHeader::length_bytes);
  put(SafeTensorsHeader::length_bytes, text.data(), std::ssize(text));
}

SafeTensorsWriter::~SafeTensorsWriter() {
  if (file_) ::unlink(draft_.c_str());
}

void SafeTensorsWriter::put(index_t offset, const void* bytes, index_t count) {
  for (index_t done = 0; done < count;) {
    const ssize_t put = ::pwrite(file_->descriptor(), static_cast<const char*>(bytes) + done,
                                 static_cast<std::size_t>(count - done), static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) throw Error(fmt::format("cannot write '{}': {}", draft_, std::strerror(put < 0 ? errno : ENOSPC)));
    done += put;
  }
}

template <class T>
void SafeTensorsWriter::write(std::string_view name, index_t first, std::span<const T> values) {
  const auto tensor = std::find_if(header_.tensors.begin(), header_.tensors.end(),
                                   [&](const SafeTensor& each) { return each.name == name; });
  const bool there = tensor != header_.tensors.end();
  const index_t count = std::ssize(values);
  constexpr std::string_view type = std::is_floating_point_v<T> ? "F32" : "I64";
  if (!there || tensor->type != type || first < 0 || first > tensor->elements() - count)
    refuse<ShapeError>(
        "SafeTensorsWriter", fmt::format("elements [{}, {}) of {} {}", first, first + count, type, name),
        there ? fmt::format("a part of {} {}", tensor->elements(), tensor->type) : "a tensor of the file");
  const index_t bytes = count * static_cast<index_t>(sizeof(T));
  put(data_ + tensor->offset + first * static_cast<index_t>(sizeof(T)), values.data(), bytes);
  written_ += bytes;
}

void SafeTensorsWriter::finish() {
  index_t bytes = 0;
  for (const SafeTensor& tensor : header_.tensors) bytes += tensor.bytes;
  if (written_ != bytes)
    refuse<ShapeError>("SafeTensorsWriter", fmt::format("{} bytes were written to {}", written_, path_),
                       fmt::format("{}", bytes));
  if (::fsync(file_->descriptor()) != 0)
    throw Error(fmt::format("cannot write '{}': {}", draft_, std::strerror(errno)));
  rename_file(draft_, path_);
  file_.reset();
  sync_folder(path_);
}

template void SafeTensorsWriter::write(std::string_view, index_t, std::span<const float>);
template void SafeTensorsWriter::write(std::string_view, index_t, std::span<const std::int64_t>);

void try_safetensors(const std::string& path) {
  check_tensor_file(path);
  const std::string target = target_of(path);
  // The first folder that is missing tells whether the others can be made.
  std::error_code error;
  fs::path missing;
  for (fs::path folder = fs::path(target).parent_path(); !folder.empty() && !fs::exists(folder, error);
       folder = folder.parent_path())
    missing = folder;
  if (missing.empty()) {
    const LockedFile draft = take(target);
    ::unlink(draft_of(target).c_str());
    return;
  }
  if (!fs::create_directory(missing, error)) refuse_name(target, error.message());
  fs::remove(missing, error);
}

}  // namespace partita::io
