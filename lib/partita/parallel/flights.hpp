// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include <partita/comm/collectives/plan.hpp>
#include <partita/core/clock.hpp>
#include <partita/nn/exchange.hpp>

namespace partita::parallel {

/// Plans that are in flight together: launched one by one while a step goes on, helped on between its units, waited for
/// at the end. All ranks launch the same ones in the same order. Nothing here allocates after it was made.
class Flights {
  static constexpr auto nothing = [](int) {};

 public:
  explicit Flights(std::size_t most) { under_way_.reserve(most); }

  bool idle() const { return under_way_.empty(); }

  /// start()  posts the plan, which is called `key` from here on.
  template <class Start>
  void launch(int key, comm::Pending& plan, const Start& start) {
    const std::int64_t from = now_ns();
    if (idle()) began_ns_ = from;
    under_way_.push_back({key, &plan});
    start();
    exposed_ns_ += now_ns() - from;
  }

  /// Helps all on; done(key) for each that has ended. Never blocks.
  template <class Done = decltype(nothing)>
  void progress(const Done& done = nothing) {
    if (idle()) return;
    const std::int64_t from = now_ns();
    poll(done);
    account(from);
  }

  /// Until all have ended; or `key`, if it is in flight.
  template <class Done = decltype(nothing)>
  void finish(const Done& done = nothing) {
    wait_while([this] { return !idle(); }, done);
  }
  template <class Done = decltype(nothing)>
  void finish(int key, const Done& done = nothing) {
    wait_while([&] { return in_flight(key); }, done);
  }
  /// Until the one that was launched first has ended.
  template <class Done>
  void finish_oldest(const Done& done) {
    if (!idle()) finish(under_way_.front().key, done);
  }
  bool in_flight(int key) const {
    for (const Flight& flight : under_way_)
      if (flight.key == key) return true;
    return false;
  }

  /// Since the last look.
  nn::OverlapTime take_time() {
    const nn::OverlapTime time{seconds(exposed_ns_), seconds(busy_ns_ - exposed_ns_)};
    exposed_ns_ = busy_ns_ = 0;
    return time;
  }

 private:
  struct Flight {
    int key;
    comm::Pending* plan;
  };

  // With one alone MPI may wait as it likes; several must be helped on together.
  template <class Going, class Done>
  void wait_while(const Going& going, const Done& done) {
    if (!going()) return;
    const std::int64_t from = now_ns();
    while (going()) {
      if (under_way_.size() == 1)
        end(0, done);
      else
        poll(done);
    }
    account(from);
  }
  template <class Done>
  void poll(const Done& done) {
    for (std::size_t i = 0; i < under_way_.size();) {
      if (under_way_[i].plan->progress())
        end(i, done);
      else
        ++i;
    }
  }
  template <class Done>
  void end(std::size_t i, const Done& done) {
    const Flight flight = under_way_[i];
    flight.plan->finish();
    under_way_.erase(under_way_.begin() + static_cast<std::ptrdiff_t>(i));
    done(flight.key);
  }
  void account(std::int64_t from) {
    const std::int64_t now = now_ns();
    exposed_ns_ += now - from;
    if (idle()) busy_ns_ += now - began_ns_;
  }

  std::vector<Flight> under_way_;
  std::int64_t began_ns_ = 0, exposed_ns_ = 0, busy_ns_ = 0;
};

}  // namespace partita::parallel
