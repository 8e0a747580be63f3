// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/training/server_parts.hpp>

namespace partita::training {

/// The driver's loop over a parameter server in virtual time: a step is an update of the first server, in seconds of
/// this machine; when it was in virtual time is in the record's /virtual. All that `parts` refers to must outlive the
/// workload. Allocates.
template <class Scalar>
driver::Workload make_virtual_workload(const ServerParts<Scalar>& parts);

}  // namespace partita::training
