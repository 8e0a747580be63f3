// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <memory>

#include <partita/driver/workload.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/nn/gradient_pass.hpp>
#include <partita/parallel/pipeline/pipeline.hpp>
#include <partita/training/dataset.hpp>

namespace partita::training {

/// Samples that go through the model at once.
inline constexpr index_t evaluation_rows = 256;

/// What a stage has room for then.
inline nn::StagePlan evaluation_plan(index_t samples) { return {.rows = std::min(evaluation_rows, samples)}; }

struct EvaluationResult {
  double loss = 0;      ///< mean over the labels
  double accuracy = 0;  ///< share of labels whose score is the largest
};

/// Loss and accuracy on the held-out samples: a forward-only list of actions, shared by the ranks of an axis. No
/// gradient; weights are read as a training step reads them.
template <class Scalar>
class Evaluation {
 public:
  /// Samples go through the model in blocks of `rows`; plans the model's memory for them. pipeline: of ranks that have
  /// some of the stages; in order with what else they make.
  Evaluation(nn::Model<Scalar>& model, const nn::LossHead<Scalar>& head, const Dataset& data,
             const parallel::Pipeline<Scalar>* pipeline = nullptr, index_t rows = evaluation_rows);

  /// On the weights that the exchange gives for `step`. The same on all ranks, and the same bits on any number of ranks
  /// where the kernels are deterministic: block sums are added in block order. With a pipeline blocks follow each other
  /// through its stages; the axis is that of its replicas. Asks after each block whether to stop;
  /// then the result is empty. Collective over the axis; allocates; fences. Not for a timed step.
  EvaluationResult run(kernels::Context& context, nn::Exchange<Scalar>& exchange, index_t step,
                       const comm::Communicator& axis, const driver::Stop& stop) const;

 private:
  struct BlockSum {
    double loss;
    index_t correct;
  };
  BlockSum block(kernels::Context& context, nn::Exchange<Scalar>& exchange, index_t step, index_t first,
                 index_t rows) const;

  nn::Model<Scalar>& model_;
  const Dataset& data_;
  index_t rows_;
  Rows<Scalar> buffers_;
  struct Pass {
    std::unique_ptr<nn::Links<Scalar>> links;
    std::unique_ptr<nn::GradientPass<Scalar>> forward;
  };
  Pass make_pass(const nn::LossHead<Scalar>& head, index_t rows) const;

  const parallel::Pipeline<Scalar>* pipeline_;
  Pass whole_, rest_;  // the last block, where it is shorter
  Vector<double> loss_;
  Vector<index_t> correct_;
};

}  // namespace partita::training
