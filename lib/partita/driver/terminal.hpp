// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace partita::driver {

/// Writes to standard output at once. That it cannot (closed, disk full) ends no run: require_said() complains of it.
void say(std::string_view text);
/// The same for warnings, on standard error; nobody complains.
void say_aside(std::string_view text);
/// Throws   Error when something that was said did not get out.
void require_said();

/// Whether a person watches standard output on a terminal: it is one, or it is the pipe of a launcher (mpiexec, srun,
/// ...) on this host whose own standard output is one; and the terminal can rewrite a line (TERM is not "dumb"). Linux;
/// elsewhere only the former is seen.
bool output_is_watched();

}  // namespace partita::driver
