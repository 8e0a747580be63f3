// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace partita::config {

/// How many insertions, deletions, replacements and swaps of neighbours turn a into b (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that was probably meant: few edits away, or the same last component in another table
/// (`train.allreduce` -> `parallel.allreduce`). Empty when nothing comes near. The first of equals.
std::string nearest(std::string_view given, const std::vector<std::string>& candidates);

/// "; did you mean X?", or nothing.
std::string did_you_mean(std::string_view given, const std::vector<std::string>& candidates);

}  // namespace partita::config
