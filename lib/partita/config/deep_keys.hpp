// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace partita::config {

/// A TOML key of many parts, a.b.c, is a table in a table in a table, and toml++ follows it down the stack to its end.
///
/// Throws   UsageError "<where>:<line>: ..." for the first one of more than 32 parts, in text that need not be TOML.
void refuse_deep_keys(std::string_view text, const std::string& where);

}  // namespace partita::config
