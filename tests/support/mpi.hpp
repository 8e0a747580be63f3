// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/environment.hpp>

namespace partita::test {

/// The environment of the MPI test program, made by its main.
comm::Environment& environment();
inline const comm::Communicator& world() { return environment().world(); }

}  // namespace partita::test
