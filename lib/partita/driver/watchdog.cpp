// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/watchdog.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <partita/core/clock.hpp>

namespace partita::driver {
namespace {

constexpr std::int64_t millisecond = 1'000'000;
constexpr std::int64_t answer_ns = 1000 * millisecond;  // how long ranks have to report that are late, not silent
constexpr std::int64_t deputy_ns = 300 * millisecond;   // after which another one asks in place of rank 0
constexpr std::int64_t later_ns = 100 * millisecond;    // by which each further rank waits longer
constexpr std::int64_t judged_ns = 3000 * millisecond;  // after which who has asked is given up
constexpr std::int64_t held_up_ns = 500 * millisecond;  // a nap that took so much longer was none, ...
constexpr double held_up = 0.25;                        // ... if it is this share of the limit

enum Kind : int { alive, alarm, please, answer, go_on, bye };

}  // namespace

struct Watchdog::Note {
  int kind = alive;
  int generation = 0;
  RankReport report = {};
};

Watchdog::Watchdog(comm::WatchLine* line, const comm::WaitBoard& waits, double limit_s, Ended ended)
    : line_(line),
      waits_(waits),
      ended_(std::move(ended)),
      limit_s_(limit_s),
      generation_(line == nullptr ? 0 : line->next_user()),
      looked_ns_(now_ns()),
      alive_ns_(looked_ns_),
      heard_ns_(looked_ns_) {
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  wake_.notify_all();
  thread_.join();
  if (!talks()) return;
  const int right = (line_->rank() + 1) % line_->size();
  send(bye, right, now_ns());
  if (line_->rank() != 0 && right != 0) send(bye, 0, now_ns());
}

void Watchdog::set_limits(double limit_s, double step_limit_s) {
  {
    const std::lock_guard lock(mutex_);
    limit_s_ = limit_s;
    step_limit_s_ = step_limit_s;
    changed_ = true;
  }
  beats_.fetch_add(1, std::memory_order_release);
  wake_.notify_all();
}

std::atomic<std::int64_t>& Watchdog::show_phases(std::vector<std::string> names) {
  const std::lock_guard lock(mutex_);
  phases_ = std::move(names);
  phase_.store(0, std::memory_order_relaxed);
  return phase_;
}

double Watchdog::limit_s() const {
  return limit_s_ > 0 && step_limit_s_ > 0 && in_step_.load(std::memory_order_relaxed) ? step_limit_s_ : limit_s_;
}

std::int64_t Watchdog::nap_ns() const {
  if (state_ != State::watching) return 10 * millisecond;
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(1e9 / 30 * limit_s()), 10 * millisecond, 250 * millisecond);
}

Watchdog::Life Watchdog::life() const {
  return {beats_.load(std::memory_order_acquire), phase_.load(std::memory_order_relaxed), waits_.changes()};
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!done_) {
    if (std::exchange(changed_, false)) looked_ns_ = alive_ns_ = heard_ns_ = now_ns();
    const std::int64_t nap = nap_ns();
    if (limit_s() > 0)
      wake_.wait_for(lock, std::chrono::nanoseconds(nap));
    else
      wake_.wait(lock);
    if (done_ || changed_) continue;
    const std::int64_t now = now_ns();
    const std::int64_t lost_ns = now - looked_ns_ - nap;
    if (lost_ns > held_up_ns && seconds(lost_ns) > held_up * limit_s())
      for (std::int64_t* each : {&alive_ns_, &heard_ns_, &since_ns_}) *each += lost_ns;
    looked_ns_ = now;
    if (!look(now)) continue;
    std::vector<RankReport> reports;
    for (const auto& of : reports_)
      if (of) reports.push_back(*of);
    if (reports.empty()) reports.push_back(report(now));
    const Judgement judgement = judge(reports, gone_, talks() ? line_->size() : 0);
    if (!judgement.hangs) {
      go_on_watching(now);
      for (int to = 0; to < line_->size(); ++to)
        if (to != line_->rank()) send(go_on, to, now);
      continue;
    }
    lock.unlock();  // who is called may ask for what the mutex guards
    ended_(judgement);
    return;
  }
}

// True: it is time to end the job.
bool Watchdog::look(std::int64_t now) {
  if (const Life life = this->life(); life != seen_) {
    seen_ = life;
    alive_ns_ = now;
  }
  const double limit = limit_s();
  const double period_s = std::min(0.5, limit / 8);
  bool silent = seconds(now - alive_ns_) > limit;
  if (!talks()) return silent;

  take_notes(now);
  const int rank = line_->rank(), right = (rank + 1) % line_->size();
  if (seconds(now - sent_ns_) >= period_s) {
    send(alive, right, now);
    sent_ns_ = now;
  }
  silent = silent || (!left_is_gone_ && seconds(now - heard_ns_) > limit + period_s);
  switch (state_) {
    case State::watching:
      if (!silent || now < patient_until_ns_) return false;
      if (rank == 0) {
        ask(now);
      } else {
        state_ = State::alarmed;
        since_ns_ = now;
        send(alarm, 0, now);
      }
      return false;
    case State::alarmed:
      if (now - since_ns_ > deputy_ns + std::min(rank - 1, 10) * later_ns) ask(now);
      return false;
    case State::asked:
      if (now - since_ns_ > judged_ns + std::min(rank, 10) * later_ns) ask(now);
      return false;
    case State::asking:
      return all_answered() || now - since_ns_ > answer_ns;
  }
  return false;
}

void Watchdog::take_notes(std::int64_t now) {
  Note note;
  while (const std::optional<int> from = line_->take(note))
    if (note.generation == generation_) heed(note, *from, now);
}

void Watchdog::heed(const Note& note, int from, std::int64_t now) {
  const int left = (line_->rank() + line_->size() - 1) % line_->size();
  if (from == left) heard_ns_ = now;
  switch (note.kind) {
    case alarm:
      if (state_ != State::asking) ask(now);
      [[fallthrough]];
    case answer:
      if (state_ == State::asking) reports_[static_cast<std::size_t>(from)] = note.report;
      return;
    case please:
      // Of two that ask the lower one goes on.
      if (state_ == State::asking && from > line_->rank()) return;
      state_ = State::asked;
      since_ns_ = now;
      return send(answer, from, now);
    case go_on:
      return go_on_watching(now);
    case bye:
      if (from == left) left_is_gone_ = true;
      gone_.push_back(from);
      return;
    default:
      return;
  }
}

void Watchdog::send(int kind, int to, std::int64_t now) {
  Note note{.kind = kind, .generation = generation_};
  if (kind == alarm || kind == answer) note.report = report(now);
  line_->send(note, to);
}

void Watchdog::ask(std::int64_t now) {
  state_ = State::asking;
  since_ns_ = now;
  reports_.assign(static_cast<std::size_t>(line_->size()), std::nullopt);
  reports_[static_cast<std::size_t>(line_->rank())] = report(now);
  for (int to = 0; to < line_->size(); ++to)
    if (to != line_->rank()) send(please, to, now);
}

// Who waits for ranks that make progress asks again, and not at once.
void Watchdog::go_on_watching(std::int64_t now) {
  state_ = State::watching;
  patient_until_ns_ = now + static_cast<std::int64_t>(1e9 / 4 * limit_s());
}

// But those that the rank after them says are silent.
bool Watchdog::all_answered() const {
  for (std::size_t r = 0; r < reports_.size(); ++r) {
    const auto& next = reports_[(r + 1) % reports_.size()];
    if (reports_[r] || (next && hears_nothing(*next))) continue;
    if (std::find(gone_.begin(), gone_.end(), static_cast<int>(r)) == gone_.end()) return false;
  }
  return true;
}

RankReport Watchdog::report(std::int64_t now) const {
  RankReport report{.rank = line_ == nullptr ? 0 : line_->rank(),
                    .step = step_.load(std::memory_order_relaxed),
                    .doing = ShortText(doing_.load(std::memory_order_relaxed)),
                    .silent_s = seconds(now - alive_ns_),
                    .limit_s = limit_s(),
                    .heard_s = left_is_gone_ ? 0 : seconds(now - heard_ns_)};
  const auto phase = static_cast<std::size_t>(phase_.load(std::memory_order_relaxed) & 0xffff);
  if (phase > 0 && phase <= phases_.size()) report.phase = ShortText(phases_[phase - 1]);
  report.set(waits_.look(), now);
  return report;
}

}  // namespace partita::driver
