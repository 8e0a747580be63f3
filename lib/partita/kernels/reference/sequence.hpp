// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::kernels::reference {}  // namespace partita::kernels::reference
