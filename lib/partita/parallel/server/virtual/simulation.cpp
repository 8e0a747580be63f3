// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/simulation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/virtual/virtual_server.hpp>
#include <partita/parallel/server/virtual/virtual_worker.hpp>

namespace partita::parallel::server {

template <class Scalar>
Simulation<Scalar>::Simulation(kernels::Context& with, const VirtualOptions& how, Learner<Scalar>& of,
                               Vector<Scalar> weights, const std::vector<Range>& keys,
                               const typename VirtualEngine<Scalar>::MakeRule& make_rule,
                               std::function<double(index_t)> rate)
    : context(with),
      options(how),
      rules(rules_of(how.protocol, how.workers, static_cast<int>(keys.size()), of.table().rows > 0)),
      learner(of),
      elastic{how.alpha, how.protocol.accumulate, std::move(rate)},
      times(how.compute, how.seed),
      slow(how.slow, how.seed, how.workers),
      network(how.network, static_cast<int>(keys.size())),
      free(network.free()) {
  for (const Change& each : options.changes)
    if (each.worker < 0 || each.worker >= options.workers || !(each.time_s >= 0) || std::isinf(each.time_s))
      refuse<UsageError>("VirtualEngine", fmt::format("worker {} changes at {} s", each.worker, each.time_s),
                         fmt::format("a worker below {}, a time of at least 0", options.workers));
  for (std::size_t s = 0; s < keys.size(); ++s) {
    const Vector<Scalar> mine = part(weights, keys[s]);
    servers.push_back(
        std::make_unique<VirtualServer<Scalar>>(*this, static_cast<int>(s), keys[s], mine, make_rule(keys[s], mine)));
  }
  for (int w = 0; w < options.workers; ++w)
    workers.push_back(std::make_unique<VirtualWorker<Scalar>>(*this, w, static_cast<int>(keys.size())));
}

template <class Scalar>
Simulation<Scalar>::~Simulation() = default;

template <class Scalar>
void Simulation<Scalar>::begin() {
  std::set<int> changed, absent;
  std::vector<Change> changes = options.changes;
  std::stable_sort(changes.begin(), changes.end(),
                   [](const Change& a, const Change& b) { return a.time_s < b.time_s; });
  for (const Change& each : changes) {
    if (changed.insert(each.worker).second && each.comes) absent.insert(each.worker);
    queue.push(each.time_s, {.kind = EventKind::change, .worker = each.worker, .comes = each.comes});
  }
  for (const int number : absent)
    for (const auto& server : servers) server->machine.leave(number);
  for (int w = 0; w < options.workers; ++w)
    if (!absent.contains(w)) worker(w).begin(0);
}

template <class Scalar>
std::optional<ServerUpdate> Simulation<Scalar>::next() {
  if (!std::exchange(begun_, true)) begin();
  while (rows_.empty() || rows_.front().servers < servers.size()) {
    if (queue.empty() || servers.front()->machine.present() == 0) return std::nullopt;
    handle(queue.pop().event);
  }
  Row row = std::move(rows_.front());
  rows_.pop_front();
  ++first_row_;
  row.update.norm =
      row.squares.empty() ? std::numeric_limits<double>::quiet_NaN() : norm_of_squares(exec(), row.squares);
  return row.update;
}

template <class Scalar>
void Simulation<Scalar>::updated(int server, index_t update, const ServerUpdate& what,
                                 std::span<const double> squares) {
  const auto at = static_cast<std::size_t>(update - first_row_);
  if (rows_.size() <= at) rows_.resize(at + 1);
  Row& row = rows_[at];
  if (server == 0) row.update = what;
  if (row.squares.empty())
    row.squares.assign(squares.begin(), squares.end());
  else
    for (std::size_t k = 0; k < squares.size(); ++k) row.squares[k] += squares[k];
  ++row.servers;
}

template <class Scalar>
void Simulation<Scalar>::to_server(Event event, index_t bytes) {
  if (free) return handle(event);
  const double arrival = network.to_server(event.server, now(), bytes);
  queue.push(arrival, std::move(event));
}

template <class Scalar>
void Simulation<Scalar>::to_worker(Event event, index_t bytes) {
  event.life = worker(event.worker).life;
  if (free) return handle(event);
  const double arrival = network.to_worker(event.server, now(), bytes);
  queue.push(arrival, std::move(event));
}

// The server's processor takes one message after the other.
template <class Scalar>
void Simulation<Scalar>::serve(Event event) {
  VirtualServer<Scalar>& server = *servers[static_cast<std::size_t>(event.server)];
  const std::span<const std::int32_t> rows = worker(event.worker).rows();
  const index_t bytes =
      event.kind == EventKind::push ? server.gradient_bytes(event.worker, rows) : server.weight_bytes(rows);
  const Service service = network.serve(event.server, now(), bytes);
  server.statistics.queue_depth.add(static_cast<double>(service.depth));
  server.statistics.service_s.add(service.end_s - service.start_s);
  event.served = true;
  event.service = service;
  if (service.end_s > now())
    queue.push(service.end_s, std::move(event));
  else
    handle(event);
}

template <class Scalar>
void Simulation<Scalar>::handle(const Event& event) {
  VirtualWorker<Scalar>& who = worker(event.worker);
  if (event.kind == EventKind::change) return change(event);
  if (event.life != who.life) return;
  const bool at_server = event.kind == EventKind::pull || event.kind == EventKind::push;
  if (at_server && !free) {
    if (!event.served) return serve(event);
    if (const auto service = network.postpone(event.server, now(), event.service)) {
      Event later = event;
      later.service = *service;
      return queue.push(service->end_s, std::move(later));
    }
  }
  switch (event.kind) {
    case EventKind::computed:
      return who.computed(event);
    case EventKind::pull:
      return servers[static_cast<std::size_t>(event.server)]->pull(event);
    case EventKind::push:
      return servers[static_cast<std::size_t>(event.server)]->push(event);
    case EventKind::judge:
      return who.machine.judged(event.version);
    case EventKind::reply:
      return who.replied(event);
    case EventKind::stop:
      return who.machine.stopped(event.server, event.version);
    case EventKind::end:
      return who.machine.ended(event.server);
    case EventKind::change:
      return;
  }
}

template <class Scalar>
void Simulation<Scalar>::change(const Event& event) {
  VirtualWorker<Scalar>& who = worker(event.worker);
  if (event.comes == who.present) return;
  if (event.comes) {
    index_t clock = 0;
    for (const auto& server : servers) clock = std::max(clock, server->machine.least_clock());
    for (const auto& server : servers) server->machine.join(event.worker, clock);
    who.begin(clock);
  } else {
    who.leave();
    for (const auto& server : servers) server->machine.leave(event.worker);
  }
}

template class Simulation<float>;
template class Simulation<double>;

}  // namespace partita::parallel::server
