// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <partita/comm/point_to_point.hpp>
#include <partita/kernels/context.hpp>
#include <partita/parallel/server/elastic_worker.hpp>
#include <partita/parallel/server/mpi/post.hpp>
#include <partita/parallel/server/statistics.hpp>
#include <partita/parallel/server/worker_machine.hpp>

namespace partita::parallel::server {

/// A worker of the mpi engine: its machine, its window of weights and its gradient.
///
/// Weights that it asks for arrive in the window itself. A gradient is sent from where it was made; the next one begins
/// when it is sent.
/// End   It has nothing more to do when each server has confirmed that it asks no more.
template <class Scalar>
class WorkerRank final : public WorkerActions {
 public:
  using Real = nn::Sum<Scalar>;

  /// elastic   What Protocol::elastic needs; unused else.
  /// All that is referred to must outlive this.
  WorkerRank(kernels::Context& context, Post& post, const RankOptions& options, Learner<Scalar>& learner, int number,
             ElasticOptions elastic = {});

  void begin();
  /// Handles the notes and the weights that are there, if any, and says whether there were some. Never blocks.
  bool serve();
  /// Makes the gradient that is due, if one is and the last one is sent; says whether it did. A gradient that is of no
  /// use any more ends where look() is called.
  bool work();
  /// To be called by the learner between units, after serve(): ends a gradient that is of no use any more.
  void look() const;
  /// Tells the first server that the run shall end.
  void ask_to_halt();

  bool done() const { return gone_ == options_.servers(); }
  bool finished() const { return machine_.state() == WorkerMachine::State::finished; }
  /// Of the first server's weights as they were pulled last; -1: none.
  index_t version() const { return machine_.version(0); }
  /// The first server, and its rank, whose weights are on their way; -1: none.
  int awaited() const;
  WorkerStatistics statistics;
  /// By server.
  std::vector<index_t> pushed_bytes, pulled_bytes;  ///< gradients and rows' numbers that it has sent; weights
  std::vector<index_t> skew_max;
  std::vector<double> skew_sum;
  index_t skew_count = 0;

  void pull(int server, index_t clock, index_t wanted) override;
  void compute(index_t clock) override;
  void cancel() override;
  void push(int server, const Push& push) override;
  void finish() override;

 private:
  struct Cancelled {};
  void handle(const Note& note);
  bool land();
  bool sent();
  void leave();
  void tell(int server, Note note, std::span<const double> losses = {});
  TouchedPart part_of(std::size_t server) const;

  kernels::Context& context_;
  Post& post_;
  const RankOptions& options_;
  Learner<Scalar>& learner_;
  int number_;
  Rules rules_;
  WorkerMachine machine_;
  std::unique_ptr<ElasticWorker<Scalar>> elastic_;
  Vector<Scalar> window_;
  SparseTable table_;
  TouchedRows rows_;  // of a sparse model: of gradient rows_of_
  index_t rows_of_ = -1;
  index_t nodes_;
  Gradient<Scalar> gradient_;
  std::deque<comm::PointToPoint<Scalar>> weights_;  // of each server
  std::deque<comm::PointToPoint<Real>> sends_;      // of each server and node
  std::vector<bool> asked_, replied_, sending_;     // of each server
  std::vector<index_t> versions_;                   // of weights that are arriving
  std::vector<std::int64_t> asked_ns_, sent_ns_;
  std::int64_t began_ns_ = 0;
  bool due_ = false, cancelled_ = false, said_bye_ = false;
  int gone_ = 0;
};

}  // namespace partita::parallel::server
