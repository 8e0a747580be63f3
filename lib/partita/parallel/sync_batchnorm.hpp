// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/nn/between.hpp>
#include <partita/nn/units/batchnorm2d.hpp>

namespace partita::parallel {

/// The ranks whose rows are behind one batch norm's statistics, and their sums: plans are made at the first call of a
/// size and kept, shared by all units, since one after the other is under way.
///
/// Traffic  operation "sync_batchnorm", on the axis; the closed forms of AllreducePlan.
class BatchNormAxis {
 public:
  /// ranks must outlive this. Not collective.
  BatchNormAxis(const comm::Communicator& ranks, comm::Allreduce how) : ranks_(ranks), how_(how) {}

  const comm::Communicator& ranks() const { return ranks_; }

  /// inout(n) = the sum over ranks, the same bits on each. Collective; fences exec, and waits.
  void add(const Exec& exec, Vector<double> inout) { run(doubles_, exec, inout); }
  void add(const Exec& exec, Vector<float> inout) { run(floats_, exec, inout); }

 private:
  template <class Real>
  using Plans = std::map<index_t, std::unique_ptr<comm::AllreducePlan<Real>>>;
  template <class Real>
  void run(Plans<Real>& plans, const Exec& exec, Vector<Real> inout);

  const comm::Communicator& ranks_;
  comm::Allreduce how_;
  Plans<double> doubles_;
  Plans<float> floats_;
};

/// nn::BatchNorm2d with the statistics of the rows of all ranks: of the k-th micro-batch of each, for the k-th.
///
///     forward    R mean, squares + R mean^2 and R of my rows -> all-reduce -> mean, 1 / deviation of all -> y
///     backward   dgamma / R, dbeta / R of my rows            -> all-reduce -> dx
///
/// R is the sum over ranks, which may have unlike numbers of rows, and none has to know another's. The gradients of
/// gamma and beta stay those of my rows, and the running statistics are told those of all, times my rows / batch: the
/// exchange adds both over ranks. So a step is that of one rank whose k-th micro-batch holds the k-th of all, and all
/// ranks must go through as many micro-batches, in one order. A forward that backward does again adds up again, on all
/// ranks alike; without training nothing travels.
///
/// The observer is told of the norm as the unit <name>, twice forward and twice backward, and of messages as
/// <name>.all-reduce.
/// Memory   saved: as BatchNorm2d, and R. workspace: the message.
/// Traffic  forward 2 C + 1 doubles, also where it is done again; backward 2 C numbers of nn::Sum<Scalar>.
/// Source   Zhang et al. 2018, Context encoding for semantic segmentation, section 3.1.
template <class Scalar>
class SyncBatchNorm final : public nn::Unit<Scalar> {
 public:
  /// share: as nn::BatchNorm2d's, where the axis is one of image rows, too. axis must outlive the unit.
  /// Throws   UsageError where sums are cut in chunks (deterministic mode): statistics are a chunk's own there.
  SyncBatchNorm(nn::Tables& tables, const std::string& name, const nn::Image& image, bool relu, BatchNormAxis& axis,
                double share = 1);

  nn::PassFlop flop(index_t B) const override { return norm_->flop(B); }
  nn::Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return norm_->may_end_branch(); }
  bool communicates() const override { return true; }
  index_t moments() const override { return 2 + 2; }  // its own, and the norm's second halves
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  // Behind what the norm saves.
  Vector<double> saved_rows(const nn::Call<Scalar>& call) const;

  BatchNormAxis& axis_;
  std::unique_ptr<nn::BatchNorm2d<Scalar>> norm_;
};

/// What gives a model's builder these norms; plain ones where the axis is one rank.
template <class Scalar>
class SyncBatchNormBetween final : public nn::Between<Scalar> {
 public:
  /// axis must outlive the units that are made.
  explicit SyncBatchNormBetween(BatchNormAxis& axis) : axis_(&axis) {}

  nn::Layer<Scalar> batchnorm2d(const std::string& name, const nn::Image& image, bool relu) const override;

 private:
  BatchNormAxis* axis_;
};

}  // namespace partita::parallel
