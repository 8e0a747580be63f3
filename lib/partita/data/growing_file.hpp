// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>

#include <partita/data/bounded_queue.hpp>

namespace partita::data {

/// A file of labelled samples that may grow while it is read, the layout of CIFAR-10's binary version: records of
/// 1 + features bytes one after another without a header, a label and then the bytes of the sample. Whoever writes it
/// appends, in pieces of any size; a record that is not whole yet is waited for.
///
/// Throws   UsageError "<path>: <what is wrong, and at which byte>: expected ..." when it cannot be opened or read, is
///          no ordinary file, became shorter, ends within a record when the wait is over, or has a label that is not
///          below classes. IncompleteError when the wait is over and it ends with a whole record.
/// Source   format: Krizhevsky, "The CIFAR-10 dataset", section "Binary version".
class GrowingFile {
 public:
  /// timeout_s  How long to wait for a file that does not grow; 0: for ever.
  GrowingFile(std::string path, index_t features, index_t classes, double timeout_s);
  ~GrowingFile();
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  index_t record_bytes() const { return 1 + features_; }
  /// Whole records that are there now.
  index_t records();
  /// Record k, its label first; waits until it is whole. False: asked to stop. `to` has record_bytes(). No allocation
  /// but for an error.
  bool read(index_t k, std::span<std::uint8_t> to, const std::stop_token& stop);

 private:
  bool wait_for(std::int64_t end, const std::stop_token& stop);
  void look();
  [[noreturn]] void refuse_record(const std::string& what) const;

  std::string path_;
  index_t features_, classes_;
  double timeout_s_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;  // when last looked at
  Nap nap_;
};

}  // namespace partita::data
