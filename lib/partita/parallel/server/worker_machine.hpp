// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/parallel/server/server_machine.hpp>

namespace partita::parallel::server {

/// What a worker does next, told in the order in which it is to be done.
class WorkerActions {
 public:
  virtual ~WorkerActions() = default;
  /// Asks a server for its weights, to compute gradient number `clock` on: ServerMachine::pull.
  virtual void pull(int server, index_t clock, index_t wanted) = 0;
  /// Begins gradient number `clock`, on what was pulled last: WorkerMachine::computed() says that it is done.
  virtual void compute(index_t clock) = 0;
  /// What it computes is of no use any more.
  virtual void cancel() = 0;
  /// Hands the gradient in, to one server after the other.
  virtual void push(int server, const Push& push) = 0;
  /// There is nothing more to do.
  virtual void finish() = 0;
};

/// What one worker does, whatever carries its messages. Pulls and pushes go to all servers, each of which has a part of
/// the weights.
class WorkerMachine {
 public:
  enum class State { idle, pulling, computing, pushing, finished };

  WorkerMachine(const Rules& rules, int worker, int servers, WorkerActions& actions);

  /// Begins with gradient number `clock`.
  void begin(index_t clock = 0);
  /// A pull was answered with this version.
  /// Throws   Error where none was asked for.
  void replied(int server, index_t version);
  void ended(int server);
  /// The gradient that was begun last is there.
  void computed();
  /// What the first server has made of the gradient that was handed in: ServerActions::judge.
  void judged(index_t update);
  /// A server has made this version. Heard while the worker computes on an older one, it stops and pulls.
  void stopped(int server, index_t version);
  /// The worker dies. It may begin again.
  void leave() { state_ = State::idle; }

  State state() const { return state_; }
  /// Of the gradient that is computed, or will be next.
  index_t clock() const { return clock_; }
  /// Of the server's weights that were pulled last; -1: none.
  index_t version(int server) const { return versions_[static_cast<std::size_t>(server)]; }

 private:
  void pull();
  void ask(int first, int end);
  void push();
  void push_to(int first, int end);
  void next();
  bool behind() const;
  void compute();

  Rules rules_;
  int worker_;
  WorkerActions& actions_;
  State state_ = State::idle;
  index_t clock_ = 0;
  std::vector<index_t> versions_, newest_;  // pulled, and heard of
  int asked_ = 0, missing_ = 0;             // servers
  bool has_gradient_ = false;               // elastic: to be pushed once the centre is there
  Push pushed_;
};

}  // namespace partita::parallel::server
