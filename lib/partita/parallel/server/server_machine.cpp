// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/server_machine.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::parallel::server {

ServerMachine::ServerMachine(const Rules& rules, int workers, index_t updates, bool first, ServerActions& actions,
                             index_t version)
    : rules_(rules),
      workers_(static_cast<std::size_t>(workers), {.clock = clock_after(version, rules, workers)}),
      updates_(updates),
      first_(first),
      actions_(actions),
      present_(workers),
      at_{{clock_after(version, rules, workers), workers}},
      least_(at_.begin()->first),
      version_(version) {}

ServerMachine::Worker& ServerMachine::worker(int number) {
  if (number < 0 || static_cast<std::size_t>(number) >= workers_.size() ||
      !workers_[static_cast<std::size_t>(number)].present)
    refuse<Error>("ServerMachine", fmt::format("worker {}", number), "one that is there");
  return workers_[static_cast<std::size_t>(number)];
}

void ServerMachine::pull(int number, index_t clock, index_t wanted) {
  Worker& who = worker(number);
  if (who.waits) refuse<Error>("ServerMachine", fmt::format("worker {} pulls and pulls", number), "one pull at a time");
  if (!rules_.clock_is_version && !follows() && clock != who.clock)
    refuse<Error>("ServerMachine", fmt::format("worker {} pulls for clock {}", number, clock),
                  fmt::format("{}, the gradients that it has handed in", who.clock));
  who.wanted = wanted;
  who.waits = true;
  waiting_.push_back(number);
  answer();
}

void ServerMachine::push(const Push& push) {
  Worker& who = worker(push.worker);
  if (rules_.gate == Rules::Gate::clock && push.clock - least_ > rules_.slack)
    refuse<Error>("ServerMachine",
                  fmt::format("worker {} hands in clock {}, the slowest is at {}", push.worker, push.clock, least_),
                  fmt::format("at most {} clocks between them", rules_.slack));
  const index_t clock = who.clock++;
  count(who.clock, 1);  // first: the slowest must not seem to be gone in between
  count(clock, -1);
  // Of an update that was made without it, for want of workers.
  const bool late = follows() ? push.update < version_ : rules_.fresh && push.version < version_;
  if (ended() || late) {
    actions_.drop(push);
    if (rules_.led && first_) actions_.judge(push.worker, -1);
    return;
  }
  who.counts = true;
  const index_t update = rules_.group == 0 ? clock : follows() ? push.update : version_;
  if (rules_.group > 0) ++gathered_[update];
  actions_.keep(push, update);
  if (rules_.led && first_) actions_.judge(push.worker, update);
  advance();
}

void ServerMachine::leave(int number) {
  Worker& who = worker(number);
  who.present = who.waits = false;
  std::erase(waiting_, number);
  --present_;
  count(who.clock, -1);
  advance();
}

void ServerMachine::join(int number, index_t clock) {
  if (number < 0 || static_cast<std::size_t>(number) >= workers_.size() ||
      workers_[static_cast<std::size_t>(number)].present)
    refuse<Error>("ServerMachine", fmt::format("worker {} joins", number), "one that is not there");
  if (clock < least_)
    refuse<Error>("ServerMachine", fmt::format("worker {} joins at clock {}", number, clock),
                  fmt::format("at least {}, that of the slowest", least_));
  workers_[static_cast<std::size_t>(number)] = {.clock = clock};
  ++present_;
  count(clock, 1);
}

// So many more workers are at this clock.
void ServerMachine::count(index_t clock, int workers) {
  const auto at = at_.try_emplace(clock, 0).first;
  at->second += workers;
  if (at->second == 0) at_.erase(at);
  if (!at_.empty()) least_ = std::max(least_, at_.begin()->first);
}

// Makes the updates that can be made.
void ServerMachine::advance() {
  if (rules_.group == 0) {
    while (version_ < least_ && !ended()) update();
  } else {
    const int group = rules_.distinct ? std::min(rules_.group, std::max(present_, 1)) : rules_.group;
    for (auto next = gathered_.find(version_); next != gathered_.end() && next->second >= group && !ended();
         next = gathered_.find(version_)) {
      gathered_.erase(next);
      update();
    }
  }
  answer();
}

void ServerMachine::update() {
  actions_.update(version_);
  ++version_;
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    workers_[w].counts = false;
    if ((rules_.fresh || ended()) && !follows() && workers_[w].present && !workers_[w].waits)
      actions_.stop(static_cast<int>(w));
  }
}

bool ServerMachine::opens(const Worker& who) const {
  switch (rules_.gate) {
    case Rules::Gate::none:
      return true;
    case Rules::Gate::clock:
      return who.clock - least_ <= rules_.slack;
    case Rules::Gate::version:
      return version_ >= who.wanted;
    case Rules::Gate::update:
      return !first_ || !who.counts;
  }
  return true;
}

void ServerMachine::answer() {
  // An answer may bring the next message at once, which looks at all that wait: each is taken out before it is given.
  for (std::size_t k = 0; k < waiting_.size();) {
    const int number = waiting_[k];
    Worker& who = workers_[static_cast<std::size_t>(number)];
    if (!ended() && !opens(who)) {
      ++k;
      continue;
    }
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(k));
    who.waits = false;
    if (ended())
      actions_.end(number);
    else
      actions_.reply(number);
  }
}

}  // namespace partita::parallel::server
