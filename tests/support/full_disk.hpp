// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace partita::testing {

/// While it lives, the system calls that put bytes or names on a disk fail with ENOSPC from the n-th one on (counted
/// from 0), in this process and in the libraries that it is linked with: a disk that is full for good.
class FullDisk {
 public:
  explicit FullDisk(std::int64_t after);
  ~FullDisk();
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

  /// Whether a call has failed.
  bool met() const;
  /// To be called before files are opened: HDF5 cannot close what it cannot flush, and a sanitizer shall not count it.
  static void leaves_files_open();
};

}  // namespace partita::testing
