// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "support.hpp"

namespace partita::fuzz {

/// The objects of a file but its root, by path, in one order.
std::vector<std::string> objects_of(const std::string& path);

/// Changes a valid file as the input says: names, types, extents, values, attributes and links of these objects. It
/// stays valid HDF5, since the library itself crashes on damaged bytes.
void mutate(const std::string& path, const std::vector<std::string>& objects, Bytes input);

}  // namespace partita::fuzz
