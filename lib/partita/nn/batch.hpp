// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <partita/core/types.hpp>

namespace partita::nn {

/// A rank's rows of a global batch. A model is fed numbers or tokens; the other of the two is empty.
template <class Scalar>
struct Batch {
  ConstMatrix<Scalar> x;             ///< (rows, inputs)
  ConstMatrix<std::int32_t> tokens;  ///< (rows, T)
  ConstVector<std::int32_t> label;   ///< (rows labels): so many for each row; -1 counts in neither loss nor gradient
  index_t counted = 0;  ///< labels of the global batch that are not -1, by which sums become means; 0: all are
};

}  // namespace partita::nn
