// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/virtual_server.hpp>

#include <algorithm>
#include <utility>

#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/virtual/virtual_worker.hpp>

namespace partita::parallel::server {
namespace {

template <class Scalar>
std::span<const std::int32_t> rows_of(const Payload<Scalar>* payload) {
  return payload->rows ? std::span<const std::int32_t>(*payload->rows) : std::span<const std::int32_t>();
}

}  // namespace

template <class Scalar>
VirtualServer<Scalar>::VirtualServer(Simulation<Scalar>& world, int number, Range keys, Vector<Scalar> weights,
                                     std::unique_ptr<UpdateRule<Scalar>> rule)
    : machine(world.rules, world.options.workers, world.options.updates, number == 0, *this),
      world_(world),
      number_(number),
      keys_(keys),
      weights_(weights),
      rule_(std::move(rule)),
      store_(gradient_shape(world.learner, world.rules, world.options.workers, keys.extent), world.rules.one_batch()) {
  statistics.keys = keys;
  changed_.resize(static_cast<std::size_t>(world.learner.table().rows));
}

template <class Scalar>
void VirtualServer<Scalar>::push(const VirtualEvent<Scalar>& event) {
  payload_ = event.payload.get();
  stale_ = machine.staleness(event.push);
  statistics.received_bytes += gradient_bytes(event.push.worker, rows_of(payload_));
  world_.worker(event.push.worker).statistics.push_s.add(world_.now() - event.sent_s);
  machine.push(event.push);
}

// A node of the gradient that is handed in, for this server's keys.
template <class Scalar>
void VirtualServer<Scalar>::take(index_t update, int worker, index_t node) {
  const SparseTable table = world_.learner.table();
  const index_t window = world_.learner.window();
  const Vector<Real> to = store_.place(update, worker, node);
  if (table.rows > 0)
    spread_touched<Real>(world_.context, table, keys_, *payload_->rows,
                         parallel::part(payload_->nodes, Range{node * window, window}), to);
  else
    kernels::copy<Real>(world_.exec(),
                        parallel::part(payload_->nodes, Range{node * window + keys_.offset, keys_.extent}), to);
}

// Of a dense model every update changes every key.
template <class Scalar>
void VirtualServer<Scalar>::count_conflicts(const Push& push) {
  if (!payload_->rows) {
    ++handed_in;
    conflicts += stale_ > 0 ? 1 : 0;
    return;
  }
  const TouchedRows& rows = *payload_->rows;
  const Range mine = touched_part(world_.learner.table(), keys_, rows).list;
  handed_in += mine.extent;
  for (index_t k = mine.offset; k < mine.end(); ++k)
    if (changed_[static_cast<std::size_t>(rows[static_cast<std::size_t>(k)])] > push.version) ++conflicts;
}

template <class Scalar>
index_t VirtualServer<Scalar>::gradient_bytes(int worker, std::span<const std::int32_t> rows) const {
  const SparseTable table = world_.learner.table();
  if (table.rows == 0) return store_.nodes(worker) * keys_.extent * static_cast<index_t>(sizeof(Real));
  const TouchedPart part = touched_part(table, keys_, rows);
  return store_.nodes(worker) * part.weights(table) * static_cast<index_t>(sizeof(Real)) +
         part.list.extent * static_cast<index_t>(sizeof(std::int32_t));
}

template <class Scalar>
index_t VirtualServer<Scalar>::weight_bytes(std::span<const std::int32_t> rows) const {
  const SparseTable table = world_.learner.table();
  const index_t weights = table.rows == 0 ? keys_.extent : touched_part(table, keys_, rows).weights(table);
  return weights * static_cast<index_t>(sizeof(Scalar));
}

template <class Scalar>
void VirtualServer<Scalar>::keep(const Push& push, index_t update) {
  const Exec& exec = world_.exec();
  for (index_t k = 0; k < store_.nodes(push.worker); ++k) take(update, push.worker, k);
  store_.keep(exec, update, push.worker, world_.rules.elastic ? world_.learner.batch() : payload_->samples);
  count_conflicts(push);
  Part& part = parts_[update];
  const index_t staleness = update - push.version;
  part.known.add(push.worker, payload_->samples, staleness,
                 number_ == 0 ? std::span<const double>(payload_->losses) : std::span<const double>());
  if (payload_->rows) part.rows.push_back(payload_->rows);
  if (number_ == 0) world_.worker(push.worker).statistics.stale(staleness);
}

template <class Scalar>
void VirtualServer<Scalar>::drop(const Push& push) {
  if (number_ == 0) ++world_.worker(push.worker).statistics.dropped;
}

template <class Scalar>
void VirtualServer<Scalar>::update(index_t update) {
  auto found = parts_.extract(update);
  Part& part = found.mapped();
  ServerUpdate what;
  what.time_s = world_.network.update(number_, world_.now(), keys_.extent * static_cast<index_t>(sizeof(Scalar)));
  what.samples = part.known.samples();
  what.staleness = part.known.staleness();
  if (number_ == 0) what.loss = part.known.loss(world_.rules, world_.learner.labels());
  rule_->apply(world_.context, store_.mean(world_.exec(), update).gradient, update, what.staleness);
  store_.release(update);
  for (const auto& rows : part.rows)
    for (const std::int32_t row : *rows) changed_[static_cast<std::size_t>(row)] = update + 1;
  ++statistics.updates;
  world_.updated(number_, update, what, rule_->squares());
}

template <class Scalar>
void VirtualServer<Scalar>::judge(int worker, index_t update) {
  world_.to_worker({.kind = EventKind::judge, .worker = worker, .server = number_, .version = update}, 0);
}

template <class Scalar>
void VirtualServer<Scalar>::reply(int worker) {
  VirtualWorker<Scalar>& to = world_.worker(worker);
  const SparseTable table = world_.learner.table();
  if (table.rows > 0)
    gather_touched<Scalar>(world_.exec(), table, keys_, to.rows(), weights_, to.window());
  else
    kernels::copy<Scalar>(world_.exec(), weights_, parallel::part(to.window(), keys_));
  const index_t bytes = weight_bytes(to.rows());
  statistics.sent_bytes += bytes;
  world_.to_worker({.kind = EventKind::reply, .worker = worker, .server = number_, .version = machine.version()},
                   bytes);
}

template <class Scalar>
void VirtualServer<Scalar>::stop(int worker) {
  world_.to_worker({.kind = EventKind::stop, .worker = worker, .server = number_, .version = machine.version()}, 0);
}

template <class Scalar>
void VirtualServer<Scalar>::end(int worker) {
  world_.to_worker({.kind = EventKind::end, .worker = worker, .server = number_}, 0);
}

template class VirtualServer<float>;
template class VirtualServer<double>;

}  // namespace partita::parallel::server
