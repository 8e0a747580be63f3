// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/growing_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>

namespace partita::data {
namespace {

constexpr double look_every_s = 0.02;

std::string number(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

GrowingFile::GrowingFile(std::string path, index_t features, index_t classes, double timeout_s)
    : path_(std::move(path)), features_(features), classes_(classes), timeout_s_(timeout_s) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe would wait for its writer
  if (descriptor_ < 0) refuse_record(std::string("cannot be opened: ") + std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    refuse_record("is no ordinary file");
  }
  size_ = status.st_size;
}

GrowingFile::~GrowingFile() { ::close(descriptor_); }

void GrowingFile::refuse_record(const std::string& what) const {
  refuse<UsageError>(path_, what,
                     "records of " + std::to_string(record_bytes()) + " bytes, a label below " +
                         std::to_string(classes_) + " and " + std::to_string(features_) + " more");
}

void GrowingFile::look() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) refuse_record(std::string("cannot be read: ") + std::strerror(errno));
  if (status.st_size < size_)
    refuse_record("became shorter, from " + std::to_string(size_) + " to " + std::to_string(status.st_size) + " bytes");
  size_ = status.st_size;
}

index_t GrowingFile::records() {
  look();
  return size_ / record_bytes();
}

bool GrowingFile::wait_for(std::int64_t end, const std::stop_token& stop) {
  std::int64_t since = now_ns();
  while (size_ < end) {
    const std::int64_t before = size_;
    look();
    if (size_ > before) {
      since = now_ns();
      continue;
    }
    if (timeout_s_ > 0 && seconds(now_ns() - since) > timeout_s_) {
      const std::int64_t whole = size_ / record_bytes(), rest = size_ % record_bytes();
      const std::string idle = "did not grow for " + number(timeout_s_) + " s";
      if (rest > 0)
        refuse_record("truncated: it " + idle + ", and record " + std::to_string(whole) + " at byte " +
                      std::to_string(size_ - rest) + " has " + std::to_string(rest) + " bytes");
      throw IncompleteError(path_ + ": the stream ended: it " + idle + ", after " + std::to_string(whole) + " records");
    }
    if (!nap_.sleep(stop, look_every_s)) return false;
  }
  return true;
}

bool GrowingFile::read(index_t k, std::span<std::uint8_t> to, const std::stop_token& stop) {
  const std::int64_t start = k * record_bytes();
  if (!wait_for(start + record_bytes(), stop)) return false;
  for (std::int64_t got = 0; got < record_bytes();) {
    const ssize_t part = ::pread(descriptor_, to.data() + got, static_cast<std::size_t>(record_bytes() - got),
                                 static_cast<off_t>(start + got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) refuse_record(std::string("cannot be read: ") + std::strerror(errno));
    if (part == 0) refuse_record("became shorter: it ends at byte " + std::to_string(start + got));
    got += part;
  }
  if (to[0] >= classes_)
    refuse_record("label " + std::to_string(to[0]) + " of record " + std::to_string(k) + " at byte " +
                  std::to_string(start) + " is not below " + std::to_string(classes_));
  return true;
}

}  // namespace partita::data
