// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/worker_machine.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::parallel::server {

WorkerMachine::WorkerMachine(const Rules& rules, int worker, int servers, WorkerActions& actions)
    : rules_(rules),
      worker_(worker),
      actions_(actions),
      versions_(static_cast<std::size_t>(servers), -1),
      newest_(versions_) {}

void WorkerMachine::begin(index_t clock) {
  clock_ = clock;
  has_gradient_ = false;
  versions_.assign(versions_.size(), -1);
  newest_ = versions_;
  pull();
}

// Where the first server waits or leads, others are asked once it has answered: for weights as new as its own, or at
// least no older than they were before.
void WorkerMachine::pull() {
  state_ = State::pulling;
  const int servers = static_cast<int>(versions_.size());
  const int first = rules_.gate == Rules::Gate::update || rules_.led ? 1 : servers;
  missing_ = servers;
  asked_ = first;
  ask(0, first);
}

void WorkerMachine::ask(int first, int end) {
  for (int s = first; s < end && state_ == State::pulling; ++s) {
    const index_t own = versions_[static_cast<std::size_t>(s)];
    const bool follows = rules_.led && s > 0;
    actions_.pull(s, clock_, follows ? versions_.front() : own + 1);
  }
}

void WorkerMachine::replied(int server, index_t version) {
  if (state_ == State::finished) return;  // another server had ended
  if (state_ != State::pulling)
    refuse<Error>("WorkerMachine", fmt::format("server {} answers worker {}", server, worker_), "a pull before it");
  versions_[static_cast<std::size_t>(server)] = version;
  --missing_;
  const int servers = static_cast<int>(versions_.size());
  if (asked_ < servers) {
    asked_ = servers;
    return ask(1, servers);
  }
  if (missing_ > 0) return;
  if (rules_.clock_is_version) clock_ = versions_.front();
  if (std::exchange(has_gradient_, false))
    push();
  else
    compute();
}

void WorkerMachine::ended(int) {
  if (state_ == State::finished) return;
  if (state_ == State::computing) actions_.cancel();
  state_ = State::finished;
  actions_.finish();
}

// A server may have said that there is something newer while others were asked.
bool WorkerMachine::behind() const {
  for (std::size_t s = 0; s < versions_.size(); ++s)
    if (newest_[s] > versions_[s]) return true;
  return false;
}

void WorkerMachine::compute() {
  if (behind()) return pull();
  state_ = State::computing;
  actions_.compute(clock_);
}

void WorkerMachine::computed() {
  if (state_ != State::computing)
    refuse<Error>("WorkerMachine", fmt::format("worker {} has a gradient", worker_), "one that was begun");
  if (rules_.elastic) {
    has_gradient_ = true;
    return pull();
  }
  push();
}

// A push may make an update at once, which stops this worker before the next server has its part: all get theirs first.
void WorkerMachine::push() {
  state_ = State::pushing;
  pushed_ = {.worker = worker_, .clock = clock_++};
  const int servers = static_cast<int>(versions_.size());
  push_to(0, rules_.led ? 1 : servers);
  if (!rules_.led) next();
}

void WorkerMachine::push_to(int first, int end) {
  for (int s = first; s < end; ++s) {
    pushed_.version = versions_[static_cast<std::size_t>(s)];
    actions_.push(s, pushed_);
  }
}

void WorkerMachine::judged(index_t update) {
  if (state_ != State::pushing || !rules_.led)
    refuse<Error>("WorkerMachine", fmt::format("worker {} hears of update {}", worker_, update), "a push before it");
  pushed_.update = update;
  if (update >= 0) push_to(1, static_cast<int>(versions_.size()));
  next();
}

void WorkerMachine::next() {
  if (rules_.repeats || rules_.elastic)
    compute();
  else
    pull();
}

void WorkerMachine::stopped(int server, index_t version) {
  index_t& newest = newest_[static_cast<std::size_t>(server)];
  newest = std::max(newest, version);
  if (state_ != State::computing || !behind()) return;
  actions_.cancel();
  pull();
}

}  // namespace partita::parallel::server
