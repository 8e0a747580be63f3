// SPDX-License-Identifier: BSD-3-Clause
// Servers and workers of a parameter server under random schedules: messages of one pair keep their order, all else may
// happen in any.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/parallel/server/worker_machine.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::machine_tests {
namespace {

struct Message {
  enum class Kind { pull, push, reply, judge, stop, end } kind;
  index_t clock = 0, version = 0;
  Push push = {};
};

// What was observed, judged at the end or on the spot.
class World {
 public:
  World(const ProtocolOptions& options, int workers, int servers, index_t updates, std::uint64_t seed, index_t done = 0)
      : rules_(rules_of(options, workers, servers)), seed_(seed), clock_(clock_after(done, rules_, workers)) {
    for (int s = 0; s < servers; ++s) servers_.push_back(std::make_unique<Server>(*this, s, workers, updates, done));
    for (int w = 0; w < workers; ++w) workers_.push_back(std::make_unique<Worker>(*this, w, servers));
  }

  /// Until nothing can happen any more.
  void run() {
    for (const auto& worker : workers_) worker->machine.begin(clock_);
    while (step()) {
    }
  }

  struct Server final : ServerActions {
    Server(World& of, int me, int workers, index_t updates, index_t done)
        : world(of), number(me), machine(of.rules_, workers, updates, me == 0, *this, done) {}
    void keep(const Push& push, index_t update) override { kept[update].push_back(push); }
    void drop(const Push&) override { ++dropped; }
    void update(index_t update) override { made.push_back(update); }
    void judge(int worker, index_t update) override {
      world.send_to_worker(worker, number, {Message::Kind::judge, 0, update});
    }
    void reply(int worker) override {
      world.send_to_worker(worker, number, {Message::Kind::reply, 0, machine.version()});
    }
    void stop(int worker) override {
      world.send_to_worker(worker, number, {Message::Kind::stop, 0, machine.version()});
    }
    void end(int worker) override { world.send_to_worker(worker, number, {Message::Kind::end}); }

    World& world;
    int number;
    ServerMachine machine;
    std::map<index_t, std::vector<Push>> kept;
    std::vector<index_t> made;
    int dropped = 0;
  };
  struct Worker final : WorkerActions {
    Worker(World& of, int me, int servers) : world(of), number(me), machine(of.rules_, me, servers, *this) {}
    void pull(int server, index_t clock, index_t wanted) override {
      world.send_to_server(number, server, {Message::Kind::pull, clock, wanted});
    }
    void compute(index_t clock) override {
      computing = true;
      world.begins(number, clock);
    }
    void cancel() override {
      computing = false;
      ++cancelled;
    }
    void push(int server, const Push& push) override {
      world.send_to_server(number, server, {Message::Kind::push, 0, 0, push});
    }
    void finish() override { computing = false; }

    World& world;
    int number;
    WorkerMachine machine;
    bool computing = false;
    int cancelled = 0;
  };

  const std::vector<std::unique_ptr<Server>>& servers() const { return servers_; }
  const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  /// Called when a worker begins a gradient.
  std::function<void(World&, int worker, index_t clock)> on_begin = [](World&, int, index_t) {};

  index_t slowest() const {
    index_t least = workers_.front()->machine.clock();
    for (const auto& worker : workers_) least = std::min(least, worker->machine.clock());
    return least;
  }

 private:
  void send_to_server(int worker, int server, Message message) { up_[{worker, server}].push_back(message); }
  void send_to_worker(int worker, int server, Message message) { down_[{worker, server}].push_back(message); }
  void begins(int worker, index_t clock) { on_begin(*this, worker, clock); }

  // One thing out of all that could happen now.
  bool step() {
    std::vector<std::function<void()>> can;
    for (auto& [pair, queue] : up_)
      if (!queue.empty()) can.emplace_back([&, p = pair] { deliver_up(p.first, p.second); });
    for (auto& [pair, queue] : down_)
      if (!queue.empty()) can.emplace_back([&, p = pair] { deliver_down(p.first, p.second); });
    for (const auto& worker : workers_)
      if (worker->computing)
        can.emplace_back([&] {
          worker->computing = false;
          worker->machine.computed();
        });
    if (can.empty()) return false;
    can[random_bits(seed_, Stream::test, draws_++) % can.size()]();
    return true;
  }
  void deliver_up(int worker, int server) {
    auto& queue = up_[{worker, server}];
    const Message message = queue.front();
    queue.pop_front();
    ServerMachine& machine = servers_[static_cast<std::size_t>(server)]->machine;
    if (message.kind == Message::Kind::pull)
      machine.pull(worker, message.clock, message.version);
    else
      machine.push(message.push);
  }
  void deliver_down(int worker, int server) {
    auto& queue = down_[{worker, server}];
    const Message message = queue.front();
    queue.pop_front();
    WorkerMachine& machine = workers_[static_cast<std::size_t>(worker)]->machine;
    if (message.kind == Message::Kind::reply)
      machine.replied(server, message.version);
    else if (message.kind == Message::Kind::judge)
      machine.judged(message.version);
    else if (message.kind == Message::Kind::stop)
      machine.stopped(server, message.version);
    else
      machine.ended(server);
  }

  Rules rules_;
  std::uint64_t seed_;
  index_t clock_;  // of the workers' first gradients
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<std::pair<int, int>, std::deque<Message>> up_, down_;
  std::uint64_t draws_ = 0;
};

constexpr index_t updates = 12;

void expect_all_done(const World& world) {
  for (const auto& worker : world.workers())
    EXPECT_EQ(worker->machine.state(), WorkerMachine::State::finished) << "worker " << worker->number;
  for (const auto& server : world.servers()) EXPECT_EQ(server->machine.version(), updates);
}

ProtocolOptions protocol(Protocol kind, int k = 1, index_t staleness = 3, Apply apply = Apply::clock) {
  return {.protocol = kind, .apply = apply, .staleness = staleness, .k = k};
}

std::vector<ProtocolOptions> all_protocols() {
  return {protocol(Protocol::bsp),        protocol(Protocol::bsp, 1, 0, Apply::push),
          protocol(Protocol::ssp, 1, 2),  protocol(Protocol::ssp, 1, 2, Apply::push),
          protocol(Protocol::async),      protocol(Protocol::async, 1, 0, Apply::push),
          protocol(Protocol::k_sync, 2),  protocol(Protocol::k_batch_sync, 4),
          protocol(Protocol::k_async, 2), protocol(Protocol::k_batch_async, 3),
          protocol(Protocol::elastic)};
}

TEST(server_machines, everybody_comes_to_an_end_under_any_schedule) {
  for (const ProtocolOptions& options : all_protocols())
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      World world(options, 3 + static_cast<int>(seed % 2), 1 + static_cast<int>(seed % 3), updates, seed);
      world.run();
      SCOPED_TRACE(to_string(options, 3) + ", seed " + std::to_string(seed));
      expect_all_done(world);
    }
}

TEST(server_machines, a_run_that_goes_on_makes_the_updates_that_are_left) {
  for (const ProtocolOptions& options : all_protocols())
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      const index_t done = static_cast<index_t>(seed % (updates - 1)) + 1;
      World world(options, 3 + static_cast<int>(seed % 2), 1 + static_cast<int>(seed % 3), updates, seed, done);
      world.run();
      SCOPED_TRACE(to_string(options, 3) + ", seed " + std::to_string(seed));
      expect_all_done(world);
      for (const auto& server : world.servers()) {
        ASSERT_EQ(std::ssize(server->made), updates - done);
        EXPECT_EQ(server->made.front(), done);
      }
    }
  const auto clock = [](Protocol kind, int k) { return clock_after(10, rules_of(protocol(kind, k), 4), 4); };
  EXPECT_EQ(clock(Protocol::bsp, 1), 10);
  EXPECT_EQ(clock(Protocol::k_sync, 2), 10) << "clocks are versions";
  EXPECT_EQ(clock(Protocol::k_async, 2), 5) << "20 gradients of 4 workers";
}

// Ho et al. 2013: the fastest is at most s clocks ahead, and reads all updates older than that.
TEST(server_machines, the_staleness_bound_holds_under_any_schedule) {
  index_t furthest = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const auto s = static_cast<index_t>(seed % 4);
    World world(protocol(Protocol::ssp, 1, s), 3, 1 + static_cast<int>(seed % 2), updates, seed);
    world.on_begin = [&](World& now, int worker, index_t clock) {
      EXPECT_LE(clock - now.slowest(), s);
      if (s == 3) furthest = std::max(furthest, clock - now.slowest());
      for (std::size_t k = 0; k < now.servers().size(); ++k)
        EXPECT_GE(now.workers()[static_cast<std::size_t>(worker)]->machine.version(static_cast<int>(k)), clock - s);
    };
    world.run();
    if (HasFailure()) return;
  }
  EXPECT_EQ(furthest, 3) << "the bound is reached, or it was never tried";
}

TEST(server_machines, a_bulk_synchronous_update_holds_one_gradient_of_each_worker_and_nothing_stale) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    World world(protocol(Protocol::bsp), 4, 3, updates, seed);
    world.run();
    for (const auto& server : world.servers())
      for (const auto& [update, pushes] : server->kept) {
        std::set<int> from;
        for (const Push& push : pushes) {
          EXPECT_EQ(push.version, update);
          EXPECT_EQ(push.clock, update);
          from.insert(push.worker);
        }
        EXPECT_EQ(from.size(), 4u);
        EXPECT_EQ(pushes.size(), 4u);
      }
  }
}

TEST(server_machines, backup_workers_are_left_out_and_their_late_gradients_dropped) {
  int dropped = 0, cancelled = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    World world(protocol(Protocol::k_sync, 3), 4, 1, updates, seed);
    world.run();
    for (const auto& [update, pushes] : world.servers()[0]->kept) {
      EXPECT_EQ(pushes.size(), 3u);
      for (const Push& push : pushes) EXPECT_EQ(push.version, update) << "a late gradient was used";
    }
    dropped += world.servers()[0]->dropped;
    for (const auto& worker : world.workers()) cancelled += worker->cancelled;
  }
  EXPECT_GT(dropped, 0);
  EXPECT_GT(cancelled, 0);
}

TEST(server_machines, k_batch_sync_takes_several_gradients_of_one_worker_and_none_that_is_stale) {
  bool several = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    World world(protocol(Protocol::k_batch_sync, 5), 3, 1, updates, seed);
    world.run();
    for (const auto& [update, pushes] : world.servers()[0]->kept) {
      EXPECT_EQ(pushes.size(), 5u);
      std::map<int, int> of;
      for (const Push& push : pushes) {
        EXPECT_EQ(push.version, update);
        several |= ++of[push.worker] > 1;
      }
    }
  }
  EXPECT_TRUE(several);
}

// Three servers that wait each for another worker could wait for ever: the first one alone does.
TEST(server_machines, k_async_has_different_workers_in_an_update_and_never_a_deadlock) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    World world(protocol(Protocol::k_async, 2), 3, 3, updates, seed);
    world.run();
    expect_all_done(world);
    for (const auto& [update, pushes] : world.servers()[0]->kept)
      if (pushes.size() == 2) {
        EXPECT_NE(pushes[0].worker, pushes[1].worker);
      }
    if (HasFailure()) return;
  }
}

TEST(server_machines, a_server_refuses_a_gradient_beyond_the_bound) {
  struct Nobody final : ServerActions {
    void keep(const Push&, index_t) override {}
    void drop(const Push&) override {}
    void judge(int, index_t) override {}
    void update(index_t) override {}
    void reply(int) override {}
    void stop(int) override {}
    void end(int) override {}
  } nobody;
  ServerMachine server(rules_of(protocol(Protocol::ssp, 1, 1), 2), 2, 10, true, nobody);
  server.push({.worker = 0, .clock = 0});
  server.push({.worker = 0, .clock = 1});
  EXPECT_EQ(testing::caught<Error>([&] { server.push({.worker = 0, .clock = 2}); }),
            "ServerMachine: worker 0 hands in clock 2, the slowest is at 0: expected at most 1 clocks between them");
}

TEST(server_machines, nobody_waits_for_who_is_gone_and_who_comes_begins_where_the_slowest_is) {
  World world(protocol(Protocol::bsp), 2, 1, 5, 1);
  ServerMachine& server = world.servers()[0]->machine;
  server.push({.worker = 0, .clock = 0});
  EXPECT_EQ(server.version(), 0);
  server.leave(1);
  EXPECT_EQ(server.version(), 1);
  server.push({.worker = 0, .clock = 1, .version = 1});
  EXPECT_EQ(server.version(), 2);
  server.join(1, server.least_clock());
  server.push({.worker = 0, .clock = 2, .version = 2});
  EXPECT_EQ(server.version(), 2) << "the one who came is waited for";
  server.push({.worker = 1, .clock = 2, .version = 2});
  EXPECT_EQ(server.version(), 3);
}

TEST(server_machines, what_a_protocol_cannot_be_is_refused) {
  EXPECT_EQ(testing::caught<UsageError>([] { rules_of(protocol(Protocol::k_sync, 5), 4); }),
            "server protocol: k = 5: expected 1 to 4 workers");
  EXPECT_EQ(testing::caught<UsageError>([] { rules_of(protocol(Protocol::k_batch_async, 0), 4); }),
            "server protocol: k = 0: expected at least 1");
  EXPECT_EQ(testing::caught<UsageError>([] { rules_of(protocol(Protocol::k_batch_sync, 2), 4, 2, true); }),
            "server protocol: k-batch-sync(2 of 4) of a sparse model: expected a protocol in which a gradient follows "
            "a pull of its own");
  EXPECT_EQ(testing::caught<UsageError>([] { rules_of(protocol(Protocol::ssp, 1, -1), 4); }),
            "server protocol: staleness = -1: expected at least 0");
}

}  // namespace
}  // namespace partita::parallel::server::machine_tests
