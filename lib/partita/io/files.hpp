// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <string>

namespace partita::io {

/// "it is a folder", of what stat says is no ordinary file.
const char* kind_of_file(mode_t mode);

/// Throws   Error naming both when the system refuses.
void rename_file(const std::string& from, const std::string& to);

/// Brings the names in a file's folder to disk: a rename is there when its folder is. Some file systems cannot sync a
/// folder: then there is nothing more to do.
void sync_folder(const std::string& path);

}  // namespace partita::io
