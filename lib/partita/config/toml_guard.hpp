// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace partita::config {

/// Refuses what toml++ 3.3 does not come through whole: keys of very many parts (a.b.c is a table in a table in a
/// table, which it follows down the stack), and characters beyond ASCII outside of strings and comments, where no TOML
/// has any (its tables of characters end in undefined behaviour).
///
/// Throws   UsageError "<where>:<line>: ..." for the first of these, in text that need not be TOML.
void guard_toml(std::string_view text, const std::string& where);

}  // namespace partita::config
