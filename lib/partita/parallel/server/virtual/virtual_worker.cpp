// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/virtual_worker.hpp>

#include <algorithm>
#include <utility>

#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/virtual/virtual_server.hpp>

namespace partita::parallel::server {

template <class Scalar>
VirtualWorker<Scalar>::VirtualWorker(Simulation<Scalar>& world, int number, int servers)
    : machine(world.rules, number, servers, *this),
      pushed_bytes(static_cast<std::size_t>(servers)),
      pulled_bytes(static_cast<std::size_t>(servers)),
      world_(world),
      number_(number),
      asked_s_(static_cast<std::size_t>(servers)) {
  if (world.rules.elastic) elastic_ = std::make_unique<ElasticWorker<Scalar>>(world.learner, number, world.elastic);
}

template <class Scalar>
void VirtualWorker<Scalar>::begin(index_t clock) {
  present = true;
  began_s_ = world_.now();
  machine.begin(clock);
}

template <class Scalar>
void VirtualWorker<Scalar>::leave() {
  if (machine.state() == WorkerMachine::State::computing) cancel();
  if (machine.state() != WorkerMachine::State::finished) statistics.present_s += world_.now() - began_s_;
  machine.leave();
  present = false;
  ++life;
}

template <class Scalar>
void VirtualWorker<Scalar>::pull(int server, index_t clock, index_t wanted) {
  asked_s_[static_cast<std::size_t>(server)] = world_.now();
  if (server == 0 && world_.learner.table().rows > 0)
    rows_ = std::make_shared<const TouchedRows>(world_.learner.touched(number_, clock));
  const auto s = static_cast<std::size_t>(server);
  const index_t bytes = world_.servers[s]->question_bytes(rows());
  pushed_bytes[s] += bytes;
  world_.to_server(
      {.kind = EventKind::pull, .worker = number_, .server = server, .life = life, .clock = clock, .version = wanted},
      bytes);
}

template <class Scalar>
void VirtualWorker<Scalar>::replied(const VirtualEvent<Scalar>& event) {
  const auto s = static_cast<std::size_t>(event.server);
  statistics.pull_s.add(world_.now() - asked_s_[s]);
  pulled_bytes[s] += world_.servers[s]->weight_bytes(rows());
  machine.replied(event.server, event.version);
}

template <class Scalar>
void VirtualWorker<Scalar>::compute(index_t) {
  index_t newest = 0;
  for (std::size_t s = 0; s < asked_s_.size(); ++s) newest = std::max(newest, machine.version(static_cast<int>(s)));
  for (std::size_t s = 0; s < asked_s_.size(); ++s) {
    ServerStatistics& of = world_.servers[s]->statistics;
    const index_t behind = newest - machine.version(static_cast<int>(s));
    of.skew_sum += static_cast<double>(behind);
    of.skew_max = std::max(of.skew_max, behind);
    ++of.skew_count;
  }
  double seconds = 0;
  for (index_t a = 0; a < world_.options.protocol.accumulate; ++a, ++drawn_)
    seconds += world_.times.draw(number_, drawn_) * world_.slow.factor(number_, drawn_, world_.now());
  if (!world_.options.work.empty()) seconds *= world_.options.work[static_cast<std::size_t>(number_)];
  computing_since_s_ = world_.now();
  world_.queue.push(world_.now() + seconds,
                    {.kind = EventKind::computed, .worker = number_, .life = life, .version = ++computation_});
}

template <class Scalar>
void VirtualWorker<Scalar>::cancel() {
  ++computation_;
  ++statistics.cancelled;
  statistics.compute_s += world_.now() - computing_since_s_;
}

template <class Scalar>
void VirtualWorker<Scalar>::computed(const VirtualEvent<Scalar>& event) {
  if (event.version != computation_) return;  // cancelled
  statistics.compute_s += world_.now() - computing_since_s_;
  const index_t clock = machine.clock();
  const Gradient<Scalar> mine = elastic_ ? elastic_->compute(world_.exec(), clock)
                                         : world_.learner.gradient(number_, clock, nn::Window<const Scalar>(window_));
  payload_ = std::make_shared<Payload<Scalar>>();
  payload_->losses.assign(mine.losses.begin(), mine.losses.end());
  payload_->samples = mine.samples;
  payload_->nodes = mine.nodes;
  payload_->rows = rows_;
  machine.computed();
}

template <class Scalar>
void VirtualWorker<Scalar>::push(int server, const Push& push) {
  using Real = nn::Sum<Scalar>;
  if (server == 0) {
    ++statistics.pushes;
    if (elastic_) payload_->nodes = elastic_->step(world_.exec());
    if (!world_.free) {  // others' gradients are computed while it travels
      const Vector<Real> travels =
          make_buffer<Real>("partita::parallel::VirtualWorker::push", static_cast<index_t>(payload_->nodes.extent(0)));
      kernels::copy<Real>(world_.exec(), payload_->nodes, travels);
      payload_->nodes = travels;
    }
  }
  const auto s = static_cast<std::size_t>(server);
  const index_t bytes = world_.servers[s]->gradient_bytes(number_, rows());
  pushed_bytes[s] += bytes;
  world_.to_server({.kind = EventKind::push,
                    .worker = number_,
                    .server = server,
                    .life = life,
                    .push = push,
                    .sent_s = world_.now(),
                    .payload = payload_},
                   bytes);
}

template <class Scalar>
void VirtualWorker<Scalar>::finish() {
  statistics.present_s += world_.now() - began_s_;
}

template <class Scalar>
Vector<Scalar> VirtualWorker<Scalar>::window() {
  if (elastic_) return elastic_->centre();
  if (window_.extent(0) == 0)
    window_ = make_buffer<Scalar>("partita::parallel::VirtualWorker::window", world_.learner.window());
  return window_;
}

template <class Scalar>
WorkerStatistics VirtualWorker<Scalar>::so_far() const {
  WorkerStatistics all = statistics;
  if (present && machine.state() != WorkerMachine::State::finished) all.present_s += world_.now() - began_s_;
  if (machine.state() == WorkerMachine::State::computing) all.compute_s += world_.now() - computing_since_s_;
  all.wait_s = all.present_s - all.compute_s;
  return all;
}

template class VirtualWorker<float>;
template class VirtualWorker<double>;

}  // namespace partita::parallel::server
