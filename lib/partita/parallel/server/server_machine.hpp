// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <vector>

#include <partita/parallel/server/protocol.hpp>

namespace partita::parallel::server {

/// A gradient that a worker hands in.
struct Push {
  int worker = 0;
  index_t clock = 0;    ///< its number among the worker's, from 0
  index_t version = 0;  ///< of this server's weights that it was computed on
  index_t update = -1;  ///< that it is a part of, where the first server has said so (Rules::led)
};

/// What a server does with numbers and messages, told in the order in which it is to be done.
class ServerActions {
 public:
  virtual ~ServerActions() = default;
  /// The gradient that has just arrived becomes a part of update `group`.
  virtual void keep(const Push& push, index_t group) = 0;
  /// It is of no use.
  virtual void drop(const Push& push) = 0;
  /// All of update `group` are there: new weights, which are version group + 1.
  virtual void update(index_t group) = 0;
  /// The first server, under Rules::led: of which update the worker's gradient is a part; -1: of none.
  virtual void judge(int worker, index_t update) = 0;
  /// A pull is answered with the weights as they are.
  virtual void reply(int worker) = 0;
  /// A worker that may still compute shall stop and pull.
  virtual void stop(int worker) = 0;
  /// A pull is answered: there is nothing more to do.
  virtual void end(int worker) = 0;
};

/// What one server decides, whatever carries its messages: which gradients make an update, who waits for what. It has
/// neither a clock nor numbers. Update `group` is the one that makes version group + 1, so updates come in order.
///
/// Messages of one worker arrive in the order in which they were sent.
class ServerMachine {
 public:
  /// updates   After so many there is nothing more to do.
  /// first     This is the first server, which alone waits under Gate::update, and leads under Rules::led.
  /// version   So many of the updates were made by another run; workers begin at clock_after(version).
  ServerMachine(const Rules& rules, int workers, index_t updates, bool first, ServerActions& actions,
                index_t version = 0);

  /// The worker, about to compute its gradient number `clock`, wants weights: under Gate::version of version `wanted`
  /// at least.
  /// Throws   Error for a worker that is not there, or already waits.
  void pull(int worker, index_t clock, index_t wanted);
  /// Throws   Error for a worker that is not there, and when the bound of the protocol is broken: a gradient more than
  ///          `slack` clocks ahead of the slowest worker.
  void push(const Push& push);

  /// The worker is gone. What it has pushed counts, and nobody waits for it any more.
  void leave(int worker);
  /// The worker is there (again), about to compute its gradient number `clock`, which is at least least_clock().
  void join(int worker, index_t clock);

  index_t version() const { return version_; }
  bool ended() const { return version_ == updates_; }
  /// Gradients that each worker has handed in, at least.
  index_t least_clock() const { return least_; }
  int present() const { return present_; }

 private:
  struct Worker {
    bool present = true, waits = false;  // for an answer
    bool counts = false;                 // has a gradient in the update that is under way
    index_t clock = 0, wanted = 0;
  };
  Worker& worker(int number);
  bool opens(const Worker& worker) const;
  bool follows() const { return rules_.led && !first_; }
  void count(index_t clock, int workers);
  void advance();
  void update();
  void answer();

  Rules rules_;
  std::vector<Worker> workers_;
  index_t updates_;
  bool first_;
  ServerActions& actions_;

  int present_;
  std::map<index_t, int> at_;  // present workers by their clock
  index_t least_, version_;
  std::map<index_t, int> gathered_;  // gradients of updates of so many that are under way
  std::vector<int> waiting_;         // in the order of their pulls
};

}  // namespace partita::parallel::server
