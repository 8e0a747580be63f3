// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <partita/parallel/server/elastic_worker.hpp>
#include <partita/parallel/server/virtual/event_queue.hpp>
#include <partita/parallel/server/virtual/virtual_engine.hpp>

// What the sources of the virtual engine share; nobody else includes it.

namespace partita::parallel::server {

template <class Scalar>
class VirtualServer;
template <class Scalar>
class VirtualWorker;

/// A gradient on its way to the servers. What is not sent lies in the learner's memory.
template <class Scalar>
struct Payload {
  ConstVector<nn::Sum<Scalar>> nodes;
  std::vector<double> losses;
  index_t samples = 0;
  std::shared_ptr<const TouchedRows> rows = {};  ///< of a sparse model
};

enum class EventKind { computed, pull, push, judge, reply, stop, end, change };

template <class Scalar>
struct VirtualEvent {
  EventKind kind = EventKind::computed;
  int worker = 0, server = 0;
  int life = 0;         ///< of the worker: what belongs to an earlier one is nobody's
  index_t clock = 0;    ///< pull
  index_t version = 0;  ///< pull: wanted; reply, stop: the server's; judge: update; computed: which computation
  Push push = {};
  double sent_s = 0;     ///< push
  bool served = false;   ///< at a server: its processor is done with it
  Service service = {};  ///< and when that was
  bool comes = false;    ///< change
  std::shared_ptr<const Payload<Scalar>> payload = {};
};

/// The world of the virtual engine: time, messages, and who they are for.
template <class Scalar>
class Simulation {
 public:
  using Event = VirtualEvent<Scalar>;

  Simulation(kernels::Context& context, const VirtualOptions& options, Learner<Scalar>& learner, Vector<Scalar> weights,
             const std::vector<Range>& keys, const typename VirtualEngine<Scalar>::MakeRule& make_rule,
             std::function<double(index_t)> rate);
  ~Simulation();

  std::optional<ServerUpdate> next();

  /// A message, of so many bytes beside what every one has.
  void to_server(Event event, index_t bytes);
  void to_worker(Event event, index_t bytes);
  /// A server has made its next update, with these squares of the gradient's norm.
  void updated(int server, index_t update, const ServerUpdate& what, std::span<const double> squares);

  const Exec& exec() const { return context.exec(); }
  double now() const { return queue.now(); }
  VirtualWorker<Scalar>& worker(int number) { return *workers[static_cast<std::size_t>(number)]; }

  kernels::Context& context;
  const VirtualOptions options;
  const Rules rules;
  Learner<Scalar>& learner;
  const ElasticOptions elastic;
  const ComputeTimes times;
  SlowDowns slow;
  Network network;
  const bool free;  ///< a message costs nothing: it is there at once, ahead of all else
  EventQueue<Event> queue;
  std::vector<std::unique_ptr<VirtualServer<Scalar>>> servers;
  std::vector<std::unique_ptr<VirtualWorker<Scalar>>> workers;

 private:
  // An update that not all servers have made yet.
  struct Row {
    ServerUpdate update;
    std::vector<double> squares;
    std::size_t servers = 0;
  };
  void begin();
  void handle(const Event& event);
  void serve(Event event);
  void change(const Event& event);

  bool begun_ = false;
  std::deque<Row> rows_;
  index_t first_row_ = 0;
};

}  // namespace partita::parallel::server
