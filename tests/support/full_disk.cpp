// SPDX-License-Identifier: BSD-3-Clause
#include <dlfcn.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <limits>

#include <support/full_disk.hpp>

// The dynamic linker takes these for the system's: libhdf5's calls come here, too.

extern "C" void __lsan_disable() __attribute__((weak));  // where there is a sanitizer that looks for leaks

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
std::atomic<std::int64_t> left{never};
std::atomic<bool> failed{false};

bool fails() {
  if (left.load() == never || left.fetch_sub(1) > 0) return false;
  failed = true;
  errno = ENOSPC;
  return true;
}

template <class Function>
Function system_call(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t pwrite(int file, const void* data, size_t bytes, off_t at) {
  static const auto call = system_call<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  return fails() ? -1 : call(file, data, bytes, at);
}

ssize_t write(int file, const void* data, size_t bytes) {
  static const auto call = system_call<ssize_t (*)(int, const void*, size_t)>("write");
  return file > 2 && fails() ? -1 : call(file, data, bytes);
}

int ftruncate(int file, off_t length) noexcept {
  static const auto call = system_call<int (*)(int, off_t)>("ftruncate");
  return fails() ? -1 : call(file, length);
}

int fsync(int file) {
  static const auto call = system_call<int (*)(int)>("fsync");
  return fails() ? -1 : call(file);
}

int rename(const char* from, const char* to) noexcept {
  static const auto call = system_call<int (*)(const char*, const char*)>("rename");
  return fails() ? -1 : call(from, to);
}
}

namespace partita::testing {

FullDisk::FullDisk(std::int64_t after) {
  failed = false;
  left = after;
}
FullDisk::~FullDisk() { left = never; }
bool FullDisk::met() const { return failed; }
void FullDisk::leaves_files_open() {
  if (__lsan_disable != nullptr) __lsan_disable();
}

}  // namespace partita::testing
