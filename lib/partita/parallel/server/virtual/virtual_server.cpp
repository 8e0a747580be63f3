// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/virtual_server.hpp>

#include <algorithm>
#include <utility>

#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/virtual/virtual_worker.hpp>

namespace partita::parallel::server {

template <class Scalar>
VirtualServer<Scalar>::VirtualServer(Simulation<Scalar>& world, int number, Range keys, Vector<Scalar> weights,
                                     std::unique_ptr<UpdateRule<Scalar>> rule)
    : machine(world.rules, world.options.workers, world.options.updates, number == 0, *this),
      conflicts(world.learner.table().rows),
      world_(world),
      number_(number),
      keys_(keys),
      weights_(weights),
      rule_(std::move(rule)),
      store_(gradient_shape(world.learner, world.rules, world.options.workers, keys.extent), world.rules.one_batch()) {
  statistics.keys = keys;
}

template <class Scalar>
void VirtualServer<Scalar>::pull(const VirtualEvent<Scalar>& event) {
  statistics.received_bytes += question_bytes(world_.worker(event.worker).rows());
  machine.pull(event.worker, event.clock, event.version);
}

template <class Scalar>
void VirtualServer<Scalar>::push(const VirtualEvent<Scalar>& event) {
  payload_ = event.payload.get();
  statistics.received_bytes += gradient_bytes(event.push.worker, handed_in());
  world_.worker(event.push.worker).statistics.push_s.add(world_.now() - event.sent_s);
  machine.push(event.push);
}

// Rows of the push that is handled.
template <class Scalar>
std::span<const std::int32_t> VirtualServer<Scalar>::handed_in() const {
  return payload_->rows ? std::span<const std::int32_t>(*payload_->rows) : std::span<const std::int32_t>();
}

// A node of the gradient that is handed in, for this server's keys.
template <class Scalar>
void VirtualServer<Scalar>::take(index_t update, int worker, index_t node) {
  const SparseTable table = world_.learner.table();
  const Range mine = touched_part(table, keys_, handed_in()).window;
  const Range there{node * world_.learner.window() + mine.offset, mine.extent};
  spread_touched<Real>(world_.context, table, keys_, handed_in(), parallel::part(payload_->nodes, there),
                       store_.place(update, worker, node));
}

template <class Scalar>
index_t VirtualServer<Scalar>::question_bytes(std::span<const std::int32_t> rows) const {
  return touched_part(world_.learner.table(), keys_, rows).list.extent * static_cast<index_t>(sizeof(std::int32_t));
}

template <class Scalar>
index_t VirtualServer<Scalar>::weight_bytes(std::span<const std::int32_t> rows) const {
  return touched_part(world_.learner.table(), keys_, rows).window.extent * static_cast<index_t>(sizeof(Scalar));
}

template <class Scalar>
index_t VirtualServer<Scalar>::gradient_bytes(int worker, std::span<const std::int32_t> rows) const {
  return store_.nodes(worker) * touched_part(world_.learner.table(), keys_, rows).window.extent *
         static_cast<index_t>(sizeof(Real));
}

template <class Scalar>
void VirtualServer<Scalar>::keep(const Push& push, index_t update) {
  const Exec& exec = world_.exec();
  for (index_t k = 0; k < store_.nodes(push.worker); ++k) take(update, push.worker, k);
  store_.keep(exec, update, push.worker, world_.rules.elastic ? world_.learner.batch() : payload_->samples);
  const Range mine = touched_part(world_.learner.table(), keys_, handed_in()).list;
  conflicts.hand_in(update, push.version,
                    handed_in().subspan(static_cast<std::size_t>(mine.offset), static_cast<std::size_t>(mine.extent)));
  const index_t staleness = update - push.version;
  pending_[update].add(push.worker, payload_->samples, staleness,
                       number_ == 0 ? std::span<const double>(payload_->losses) : std::span<const double>());
  if (number_ == 0) world_.worker(push.worker).statistics.stale(staleness);
}

template <class Scalar>
void VirtualServer<Scalar>::drop(const Push& push) {
  if (number_ == 0) ++world_.worker(push.worker).statistics.dropped;
}

template <class Scalar>
void VirtualServer<Scalar>::update(index_t update) {
  auto found = pending_.extract(update);
  PendingUpdate& pending = found.mapped();
  ServerUpdate what;
  what.time_s = world_.network.update(number_, world_.now(), keys_.extent * static_cast<index_t>(sizeof(Scalar)));
  what.samples = pending.samples();
  what.staleness = pending.staleness();
  if (number_ == 0) what.loss = pending.loss(world_.rules, world_.learner.labels());
  rule_->apply(world_.context, store_.mean(world_.exec(), update).gradient, update, what.staleness);
  store_.release(update);
  conflicts.updated(update);
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
  gather_touched<Scalar>(world_.exec(), table, keys_, to.rows(), weights_,
                         parallel::part(to.window(), touched_part(table, keys_, to.rows()).window));
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
