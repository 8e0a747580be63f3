// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/cost/common.hpp>

namespace partita::kernels::cost {}  // namespace partita::kernels::cost
