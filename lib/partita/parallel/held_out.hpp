// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <partita/comm/communicator.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/nn/model.hpp>

namespace partita::parallel {

struct HeldOutResult {
  double loss = 0;      ///< mean over the samples
  double accuracy = 0;  ///< share of samples whose largest score is their label's
};

/// Loss and accuracy of a replicated model on `samples` held-out samples, shared by the ranks of `data`.
///
/// fill     Puts samples [first, first + x.extent(0)) into x (B, inputs) and label (B).
/// rows     Samples go through the model in blocks of so many; at most the rows that the model has planned.
/// Returns  The same on all ranks, and the same bits on any number of ranks where the kernels are deterministic: block
///          sums are added in block order.
/// Runs     collective; allocates; fences. Not for a timed step.
template <class Scalar>
HeldOutResult evaluate_held_out(
    const nn::Model<Scalar>& model, kernels::Context& context, const comm::Communicator& data, kernels::Loss loss,
    index_t samples, index_t rows,
    const std::function<void(index_t first, Matrix<Scalar> x, Vector<std::int32_t> label)>& fill);

}  // namespace partita::parallel
