// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <partita/comm/point_to_point.hpp>
#include <partita/kernels/context.hpp>
#include <partita/parallel/server/conflicts.hpp>
#include <partita/parallel/server/mpi/post.hpp>
#include <partita/parallel/server/pending_update.hpp>
#include <partita/parallel/server/server_machine.hpp>
#include <partita/parallel/server/statistics.hpp>
#include <partita/parallel/server/update_rule.hpp>

namespace partita::parallel::server {

/// An update that a server has made.
struct MadeUpdate {
  index_t update = 0;
  double loss = 0;  ///< mean over the labels of its samples, on the first server
  index_t samples = 0;
  double staleness = 0;                  ///< mean of its gradients
  std::span<const double> squares = {};  ///< UpdateRule::squares
};

/// A server of the mpi engine: its machine and its numbers, on a rank of its own or beside a worker.
///
/// End      It has nothing more to do when all workers have said that they ask no more, and the first server then knows
///          it of all servers. No note and no payload is left behind.
/// Memory   gradients and weights that are sent are not copied where MPI takes memory of Exec; of a sparse model the
///          rows that each worker has asked for are, and those of one gradient.
template <class Scalar>
class ServerRank final : public ServerActions {
 public:
  using Real = nn::Sum<Scalar>;

  /// learner   What it says of workers' gradients; it makes none here.
  /// weights   (keys of this server): updated in place.
  /// All that is referred to must outlive this.
  ServerRank(kernels::Context& context, Post& post, const RankOptions& options, const Learner<Scalar>& learner,
             int number, Vector<Scalar> weights, std::unique_ptr<UpdateRule<Scalar>> rule);

  /// Handles the notes that are there, if any, and says whether there were some. Receives the gradients that follow
  /// them, which are on their way; makes updates; sends weights.
  bool serve();
  bool done() const { return gone_; }

  /// The run ends early: workers are told to go, other servers to do the same, and no update is made any more. Nothing
  /// where the last one has been made.
  void halt();
  /// Tells the first server that the run shall end.
  void ask_to_halt();

  /// What this server keeps at a version reaches the first server, which hands it to `stated`, piece by piece.
  void tell_state(index_t version, std::span<const Real> state);

  /// Called after each update; null: nobody is.
  std::function<void(const MadeUpdate& made)> updated;
  /// The first server: where a rank's time went.
  std::function<void(int rank, const Spent& spent)> reported;
  /// The first server: the next piece of what a server (itself, too) keeps at a version.
  std::function<void(int server, index_t version, std::span<const Real> piece)> stated;
  /// The first server: a rank wants the run to end.
  std::function<void(const std::string& who)> asked_to_halt;

  const ServerMachine& machine() const { return machine_; }
  ConstVector<Scalar> weights() const { return weights_; }
  const UpdateRule<Scalar>& rule() const { return *rule_; }
  bool halted() const { return halted_; }

  ServerStatistics statistics;
  Conflicts conflicts;
  /// The first server: of each worker what became of its gradients.
  std::vector<WorkerStatistics> workers;

  void keep(const Push& push, index_t update) override;
  void drop(const Push& push) override;
  void update(index_t update) override;
  void judge(int worker, index_t update) override;
  void reply(int worker) override;
  void stop(int worker) override;
  void end(int worker) override;

 private:
  struct Mail {
    int from = 0;
    Note note;
    std::vector<std::byte> numbers;  // pull: rows; push: losses
  };
  bool collect();
  void handle(const Mail& mail);
  void push(const Mail& mail);
  index_t part_of(int worker) const;
  ConstVector<Scalar> asked_for(int worker);
  void receive(int worker, Vector<Real> into);
  void take(int worker, Vector<Real> gradient);
  void tell_worker(int worker, Note note);
  void tell_server(int server, Note note);
  void leave();

  kernels::Context& context_;
  Post& post_;
  const RankOptions& options_;
  const Learner<Scalar>& learner_;
  Rules rules_;
  int number_;
  Vector<Scalar> weights_;
  std::unique_ptr<UpdateRule<Scalar>> rule_;
  ServerMachine machine_;
  GradientStore<Real> store_;
  std::map<index_t, PendingUpdate> pending_;
  std::deque<comm::PointToPoint<Scalar>> replies_;  // of each worker
  std::deque<comm::PointToPoint<Real>> pushes_;
  Vector<Real> nowhere_;
  // Of a sparse model.
  SparseTable table_;
  std::vector<TouchedRows> rows_;         // that each worker has asked for: of its next push, too
  std::vector<Vector<Scalar>> gathered_;  // for each worker
  Vector<Real> touched_;                  // a gradient of some rows

  std::deque<Mail> queue_;
  std::vector<Mail> spare_;
  const Mail* handled_ = nullptr;  // a push
  std::vector<double> losses_;     // of that push
  std::vector<Real> state_;        // of a server: a piece
  std::vector<bool> waits_, left_;
  int present_;  // workers that have not said bye, and on the first server also servers
  bool halted_ = false, said_bye_ = false, gone_ = false;
};

}  // namespace partita::parallel::server
