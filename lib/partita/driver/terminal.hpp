// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace partita::driver {

/// Whether a person watches standard output on a terminal: it is one, or it is the pipe of a launcher (mpiexec, srun,
/// ...) on this host whose own standard output is one. Linux; elsewhere only the former is seen.
bool output_is_watched();

}  // namespace partita::driver
