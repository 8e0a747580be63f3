// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <partita/kernels/context.hpp>
#include <partita/parallel/server/gradient_store.hpp>
#include <partita/parallel/server/learner.hpp>
#include <partita/parallel/server/statistics.hpp>
#include <partita/parallel/server/update_rule.hpp>
#include <partita/parallel/server/virtual/compute_times.hpp>
#include <partita/parallel/server/virtual/event_queue.hpp>
#include <partita/parallel/server/virtual/network.hpp>
#include <partita/parallel/server/virtual/slow_downs.hpp>
#include <partita/parallel/server/worker_machine.hpp>

namespace partita::parallel::server {

template <class Scalar>
class Simulation;

/// A worker dies, or comes (back).
struct Change {
  double time_s = 0;
  int worker = 0;
  bool comes = false;
};

struct VirtualOptions {
  int workers = 1;
  index_t updates = 1;  ///< of the servers: then the run is over
  ProtocolOptions protocol = {};
  double alpha = 0.1;  ///< elastic: share of the difference that the spring takes back
  std::uint64_t seed = 1;
  ComputeTimeOptions compute = {};
  SlowDownOptions slow = {};
  NetworkOptions network = {};
  std::vector<double> work = {};     ///< of each worker's gradients, by which their times are multiplied; empty: 1
  std::vector<Change> changes = {};  ///< a worker whose first one is to come is not there before
};

/// An update of the servers; times in virtual seconds.
struct ServerUpdate {
  double time_s = 0;  ///< when the first server made it
  double loss = 0;    ///< mean over the labels of its samples
  double norm = 0;    ///< of its gradient; NaN where there is none
  index_t samples = 0;
  double staleness = 0;  ///< mean of its gradients
};

/// Servers and workers of a parameter server in one process and in virtual time: a discrete-event simulation in which
/// times are drawn and messages modelled, and gradients and updates are real. A worker is a window of weights as it
/// pulled them. Its gradient is computed when its virtual time is over, so that one that is cancelled costs nothing.
///
/// Bits     the same for the same seed: events at one time come in the order in which they were made.
/// Memory   weights of each worker that has pulled; gradients that are on their way.
template <class Scalar>
class VirtualEngine {
 public:
  using Real = nn::Sum<Scalar>;
  /// The rule of the server whose keys are these.
  using MakeRule = std::function<std::unique_ptr<UpdateRule<Scalar>>(Range keys, Vector<Scalar> weights)>;

  /// weights   (learner.keys()): the servers', updated in place.
  /// keys      Of each server: ranges of the weights, ascending and without a gap.
  /// rate      elastic: the learning rate of a worker's gradient number c.
  /// Everything that is referred to must outlive the engine.
  /// Throws   UsageError as rules_of, ComputeTimes, SlowDowns and Network do, and for a change of no worker.
  VirtualEngine(kernels::Context& context, const VirtualOptions& options, Learner<Scalar>& learner,
                Vector<Scalar> weights, const std::vector<Range>& keys, const MakeRule& make_rule,
                std::function<double(index_t)> rate = {});
  ~VirtualEngine();

  /// Goes on until all servers have made one more update, and says of which kind it was. Nothing where nobody is left
  /// to make it. Allocates; fences.
  std::optional<ServerUpdate> next();

  double now_s() const;
  /// Of the run so far.
  std::vector<WorkerStatistics> workers() const;
  std::vector<ServerStatistics> servers() const;
  /// Share of what was handed in (gradients; rows of a sparse model) that updates had changed since its pull.
  double conflict_rate() const;

 private:
  std::unique_ptr<Simulation<Scalar>> world_;
};

}  // namespace partita::parallel::server
