// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace partita::kernels {

/// What a weight gradient does to what is there: replace it (beta = 0), or be added to it (beta = 1), as the gradients
/// of one micro-batch after the other are.
enum class Store { overwrite, accumulate };

}  // namespace partita::kernels
