// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/virtual_server.hpp>

#include <algorithm>
#include <utility>

#include <partita/core/tree.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/virtual/virtual_worker.hpp>

namespace partita::parallel::server {
namespace {

template <class Scalar>
GradientShape shape_of(const Simulation<Scalar>& world, index_t keys) {
  GradientShape shape{keys, world.learner.batch(), world.learner.leaves()};
  if (world.rules.elastic) shape.leaves = 0;  // what is handed in is no gradient, and one sum
  if (shape.leaves > 0)
    for (int w = 0; w < world.options.workers; ++w) shape.covers.push_back(world.learner.cover(w));
  return shape;
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
      store_(shape_of(world, keys.extent), world.rules.one_batch()) {
  statistics.keys = keys;
}

template <class Scalar>
void VirtualServer<Scalar>::push(const VirtualEvent<Scalar>& event) {
  payload_ = event.payload.get();
  stale_ = machine.staleness(event.push);
  statistics.received_bytes += gradient_bytes(event.push.worker);
  world_.worker(event.push.worker).statistics.push_s.add(world_.now() - event.sent_s);
  machine.push(event.push);
}

template <class Scalar>
void VirtualServer<Scalar>::keep(const Push& push, index_t update) {
  const Exec& exec = world_.exec();
  for (index_t k = 0; k < store_.nodes(push.worker); ++k)
    kernels::copy<Real>(exec,
                        parallel::part(payload_->nodes, Range{k * world_.learner.keys() + keys_.offset, keys_.extent}),
                        store_.place(update, push.worker, k));
  store_.keep(exec, update, push.worker, world_.rules.elastic ? world_.learner.batch() : payload_->samples);
  ++kept;
  conflicts += stale_ > 0 ? 1 : 0;
  Part& part = parts_[update];
  part.staleness += static_cast<double>(stale_);
  part.samples += payload_->samples;
  part.losses.emplace_back(push.worker, number_ == 0 ? payload_->losses : std::vector<double>());
  if (number_ == 0) world_.worker(push.worker).statistics.stale(stale_);
}

template <class Scalar>
void VirtualServer<Scalar>::drop(const Push& push) {
  if (number_ == 0) ++world_.worker(push.worker).statistics.dropped;
}

// Gradients of one batch are added in the order of its rows, as a run without servers does.
template <class Scalar>
double VirtualServer<Scalar>::loss(Part& part) const {
  if (world_.rules.one_batch())
    std::stable_sort(part.losses.begin(), part.losses.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<double> terms;
  for (const auto& [worker, losses] : part.losses) terms.insert(terms.end(), losses.begin(), losses.end());
  return tree_sum(terms) / static_cast<double>(part.samples * world_.learner.labels());
}

template <class Scalar>
void VirtualServer<Scalar>::update(index_t update) {
  auto found = parts_.extract(update);
  Part& part = found.mapped();
  ServerUpdate what;
  what.time_s = world_.now();
  what.samples = part.samples;
  what.staleness = part.staleness / static_cast<double>(part.losses.size());
  if (number_ == 0) what.loss = loss(part);
  rule_->apply(world_.context, store_.mean(world_.exec(), update).gradient, update, what.staleness);
  store_.release(update);
  ++statistics.updates;
  world_.updated(number_, update, what, rule_->squares());
}

template <class Scalar>
void VirtualServer<Scalar>::judge(int worker, index_t update) {
  world_.to_worker({.kind = EventKind::judge, .worker = worker, .server = number_, .version = update}, 0);
}

template <class Scalar>
void VirtualServer<Scalar>::reply(int worker) {
  kernels::copy<Scalar>(world_.exec(), weights_, parallel::part(world_.worker(worker).window(), keys_));
  statistics.sent_bytes += weight_bytes();
  world_.to_worker({.kind = EventKind::reply, .worker = worker, .server = number_, .version = machine.version()},
                   weight_bytes());
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
