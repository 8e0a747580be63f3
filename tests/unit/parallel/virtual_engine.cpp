// SPDX-License-Identifier: BSD-3-Clause
// The virtual engine against closed forms: Dutta, Joshi, Ghosh, Dube, Nagpurkar, "Slow and stale gradients can win the
// race", AISTATS 2018, and counting. Its servers have one weight, and gradients are a formula.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/server/virtual/virtual_engine.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::virtual_engine_tests {
namespace {

// loss = w^2 / 2 of each weight: its gradient is w.
class Quadratic final : public Learner<double> {
 public:
  explicit Quadratic(int workers) : workers_(workers), gradient_("partita::test::gradient", 1) {}
  index_t keys() const override { return 1; }
  index_t batch() const override { return workers_; }
  index_t samples(int) const override { return 1; }
  Gradient<double> gradient(int, index_t, const nn::Window<const double>& weights) override {
    Kokkos::deep_copy(gradient_, weights.vector({0, keys()}));
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), gradient_);
    loss_ = 0.5 * host(0) * host(0);
    // With scale 1 / batch, as a worker sums its share.
    for (index_t i = 0; i < keys(); ++i) host(i) /= static_cast<double>(workers_);
    Kokkos::deep_copy(gradient_, host);
    return {gradient_, {&loss_, 1}, 1};
  }

 private:
  int workers_;
  Vector<double> gradient_;
  double loss_ = 0;
};

// Gradients that nobody looks at: of time alone.
class Idle final : public Learner<double> {
 public:
  Idle(int workers, index_t keys) : workers_(workers), gradient_("partita::test::gradient", keys) {}
  index_t keys() const override { return static_cast<index_t>(gradient_.extent(0)); }
  index_t batch() const override { return workers_; }
  index_t samples(int) const override { return 1; }
  Gradient<double> gradient(int, index_t, const nn::Window<const double>&) override {
    return {gradient_, {&loss_, 1}, 1};
  }

 private:
  int workers_;
  Vector<double> gradient_;
  double loss_ = 1;
};

// Leaves the weights alone.
class NoRule final : public UpdateRule<double> {
 public:
  void apply(kernels::Context&, Vector<double>, index_t, double) override {}
};

struct Seen {
  double s_per_update = 0;
  double staleness_mean = 0;
  std::vector<double> ends_s;
  std::vector<WorkerStatistics> workers;
  std::vector<ServerStatistics> servers;
};

Seen run(VirtualOptions options, int servers = 1) {
  kernels::Context context;
  Idle learner(options.workers, servers);
  const Vector<double> weights("partita::test::weights", servers);
  std::vector<Range> keys;
  for (int s = 0; s < servers; ++s) keys.push_back({s, 1});
  VirtualEngine<double> engine(context, options, learner, weights, keys,
                               [](Range, Vector<double>) { return std::make_unique<NoRule>(); });
  Seen result;
  for (index_t u = 0; u < options.updates; ++u) {
    const auto update = engine.next();
    if (!update) break;
    result.ends_s.push_back(update->time_s);
  }
  result.s_per_update = result.ends_s.back() / static_cast<double>(result.ends_s.size());
  result.workers = engine.workers();
  result.servers = engine.servers();
  result.staleness_mean = summarise(result.workers).front().value;
  return result;
}

VirtualOptions options(Protocol protocol, int workers, index_t updates, ComputeTime law, int k = 1) {
  VirtualOptions all;
  all.workers = workers;
  all.updates = updates;
  all.protocol = {.protocol = protocol, .apply = Apply::clock, .k = k};
  all.seed = 11;
  all.compute = {.kind = law, .mean_s = 1, .shape = law == ComputeTime::pareto ? 2.5 : 1.0};
  return all;
}

double harmonic(int n) {
  double sum = 0;
  for (int i = 1; i <= n; ++i) sum += 1.0 / i;
  return sum;
}

constexpr int P = 32;
constexpr double within = 0.01;
constexpr index_t enough = 130000;  // exponential times, whose mean is then known to 0.3 %

TEST(virtual_engine, k_sync_takes_the_kth_of_shifted_exponential_times) {
  for (const int K : {1, 31}) {
    VirtualOptions all = options(Protocol::k_sync, P, 4000, ComputeTime::shifted_exponential, K);
    all.compute.shift_s = 0.5;  // then 1 / mu = 0.5
    const double expected = 0.5 + 0.5 * (harmonic(P) - harmonic(P - K));
    EXPECT_NEAR(run(all).s_per_update / expected, 1, within) << K;
  }
}

TEST(virtual_engine, k_batch_sync_takes_k_gradients_of_all) {
  for (const int K : {8, 50})
    EXPECT_NEAR(run(options(Protocol::k_batch_sync, P, enough / K, ComputeTime::exponential, K)).s_per_update * P / K,
                1, within)
        << K;
}

TEST(virtual_engine, k_async_takes_the_kth_of_what_is_left) {
  for (const int K : {4, 16}) {
    const double expected = harmonic(P) - harmonic(P - K);
    EXPECT_NEAR(run(options(Protocol::k_async, P, enough / K, ComputeTime::exponential, K)).s_per_update / expected, 1,
                within)
        << K;
  }
}

TEST(virtual_engine, k_batch_async_counts_gradients_whatever_their_law) {
  for (const ComputeTime law : {ComputeTime::exponential, ComputeTime::shifted_exponential, ComputeTime::pareto,
                                ComputeTime::uniform, ComputeTime::constant})
    for (const int K : {1, 8}) {
      VirtualOptions all = options(Protocol::k_batch_async, P, 40000 / K, law, K);
      if (law == ComputeTime::shifted_exponential) all.compute.shift_s = 0.5;
      if (law == ComputeTime::pareto) all.compute.shape = 4;
      const Seen seen = run(all);
      EXPECT_NEAR(seen.s_per_update * P / K, 1, within) << name_of(compute_times, law) << ", " << K;
      // Between a pull and the push that follows it P - 1 others push on average, and each K-th makes an update.
      EXPECT_NEAR(seen.staleness_mean * K / (P - 1), 1, 0.005) << name_of(compute_times, law) << ", " << K;
    }
}

TEST(virtual_engine, staleness_of_single_exponential_pushes_is_geometric) {
  constexpr index_t updates = 50000;
  const Seen seen = run(options(Protocol::k_batch_async, P, updates, ComputeTime::exponential, 1));
  std::vector<double> count;
  for (const WorkerStatistics& worker : seen.workers)
    for (std::size_t s = 0; s < worker.staleness_count.size(); ++s) {
      if (count.size() <= s) count.resize(s + 1);
      count[s] += static_cast<double>(worker.staleness_count[s]);
    }
  // Cells of at least 50 expected gradients, the tail in one.
  const auto all = std::accumulate(count.begin(), count.end(), 0.0);
  double chi = 0, tail_seen = all, tail = all;
  int cells = 0;
  for (std::size_t j = 0; j < count.size(); ++j) {
    const double expected = all / P * std::pow(1 - 1.0 / P, static_cast<double>(j));
    if (expected < 50) break;
    chi += (count[j] - expected) * (count[j] - expected) / expected;
    tail_seen -= count[j];
    tail -= expected;
    ++cells;
  }
  chi += (tail_seen - tail) * (tail_seen - tail) / tail;
  // Successive gradients are not independent; mean + 5 deviations of chi-square with that many degrees of freedom.
  EXPECT_LT(chi, cells + 5 * std::sqrt(2.0 * cells)) << cells << " cells";
}

// f_i(c) = max(f_i(c - 1), max_j f_j(c - 1 - s)) + X_i(c), to the last bit.
TEST(virtual_engine, ssp_clocks_follow_the_recurrence) {
  constexpr int workers = 7;
  constexpr index_t clocks = 200;
  for (const index_t s : {0, 1, 3}) {
    VirtualOptions all = options(Protocol::ssp, workers, clocks, ComputeTime::exponential);
    all.protocol.staleness = s;
    const ComputeTimes times(all.compute, all.seed);
    std::vector<std::vector<double>> f;  // of clock, of worker
    const auto slowest = [&](index_t clock) {
      return clock < 0 ? 0
                       : *std::max_element(f[static_cast<std::size_t>(clock)].begin(),
                                           f[static_cast<std::size_t>(clock)].end());
    };
    for (index_t c = 0; c < clocks; ++c) {
      std::vector<double> row;
      for (int i = 0; i < workers; ++i) {
        const double own = c > 0 ? f.back()[static_cast<std::size_t>(i)] : 0;
        row.push_back(std::max(own, slowest(c - 1 - s)) + times.draw(i, c));
      }
      f.push_back(row);
    }
    const Seen seen = run(all, 2);
    for (index_t c = 0; c < clocks; ++c)
      ASSERT_EQ(seen.ends_s[static_cast<std::size_t>(c)], slowest(c)) << "clock " << c << ", s = " << s;
  }
}

// Workers that are now and then 4 times slower, by counting.
TEST(virtual_engine, random_slow_downs_cost_what_counting_says) {
  VirtualOptions all = options(Protocol::bsp, P, 8000, ComputeTime::constant);
  all.slow = {.factor = 4, .probability = 1.0 / 32};
  const double bsp = run(all).s_per_update;
  EXPECT_NEAR(bsp / (1 + 3 * (1 - std::pow(31.0 / 32, 32))), 1, within);
  all.protocol.protocol = Protocol::ssp;
  all.protocol.staleness = 3;
  EXPECT_GT(bsp / run(all).s_per_update, 2.1);
  all.protocol.protocol = Protocol::k_sync;
  all.protocol.k = P - 1;
  // An update waits 4 where two are slow, and is never slow because of a gradient that was stopped.
  const double q = std::pow(31.0 / 32, 32), one = 32 * (1.0 / 32) * std::pow(31.0 / 32, 31);
  EXPECT_NEAR(run(all).s_per_update / (1 + 3 * (1 - q - one)), 1, within);
}

TEST(virtual_engine, one_slow_worker_costs_what_counting_says) {
  VirtualOptions all = options(Protocol::bsp, P, 400, ComputeTime::constant);
  all.slow = {.factor = 4, .workers = 1};
  EXPECT_EQ(run(all).s_per_update, 4);
  all.protocol.protocol = Protocol::k_sync;
  all.protocol.k = P - 1;
  EXPECT_EQ(run(all).s_per_update, 1);
  // Updates are 32 a clock of bsp, and one each here: 31 + 1/4 gradients a second against 8.
  all.protocol = {.protocol = Protocol::async, .apply = Apply::push};
  all.updates = 16000;
  EXPECT_NEAR(4.0 / 32 / run(all).s_per_update, 31.25 / 8, 0.01 * 31.25 / 8);
  // With slack the straggler's pace is that of all, once they are that far ahead.
  all.protocol = {.protocol = Protocol::ssp, .staleness = 3};
  all.updates = 400;
  const Seen seen = run(all);
  EXPECT_EQ(seen.ends_s[399] - seen.ends_s[299], 400);
}

TEST(virtual_engine, gradients_ahead_of_their_clock_are_as_stale_as_the_slack_is_used) {
  // Nine in ten gradients are of workers that run ahead of the slow one by all of their slack: update c has theirs,
  // computed on version c - s, and the slow one's, on version c.
  VirtualOptions all = options(Protocol::ssp, 10, 400, ComputeTime::constant);
  all.slow = {.factor = 4, .workers = 1};
  for (const index_t s : {1, 3}) {
    all.protocol.staleness = s;
    const Seen seen = run(all);
    for (std::size_t w = 0; w < seen.workers.size(); ++w)
      EXPECT_EQ(std::ssize(seen.workers[w].staleness_count), w == 0 ? 1 : s + 1) << "bound by the slack, and reached";
    EXPECT_NEAR(seen.staleness_mean, 0.9 * static_cast<double>(s), 0.02);
  }
}

TEST(virtual_engine, a_server_that_is_busy_makes_a_queue) {
  // Four workers, messages that take a second each of one processor: a cycle of a worker is its pull and its push.
  VirtualOptions all = options(Protocol::async, 4, 400, ComputeTime::constant);
  all.protocol.apply = Apply::push;
  all.network.service_s = 1;
  const Seen seen = run(all);
  EXPECT_NEAR(seen.s_per_update, 2, 0.05) << "the processor is never idle: a pull and a push for an update";
  // A worker has at most its push and its pull there.
  EXPECT_GE(seen.servers[0].queue_depth.max(), 3);
  EXPECT_LE(seen.servers[0].queue_depth.max(), 7);
}

TEST(virtual_engine, latency_and_bandwidth_are_paid_by_each_message) {
  VirtualOptions all = options(Protocol::bsp, 1, 50, ComputeTime::constant);
  all.network = {.latency_s = 0.25, .byte_per_s = 32};  // one weight of 8 byte: 0.25 s
  // First pull: 0.25 there, 0.25 + 0.25 back. Gradient: 1. Push and pull go together: 0.25 + 0.25 there, and back.
  const Seen seen = run(all);
  EXPECT_NEAR(seen.ends_s[0], 0.75 + 1 + 0.5, 1e-12);
  EXPECT_NEAR(seen.ends_s[49] - seen.ends_s[48], 1 + 1, 1e-12);
  EXPECT_NEAR(seen.workers[0].pull_s.max(), 1, 1e-12);
  EXPECT_NEAR(seen.workers[0].push_s.max(), 0.5, 1e-12);
  EXPECT_EQ(seen.servers[0].received_bytes, 50 * 8);
  EXPECT_EQ(static_cast<double>(seen.servers[0].sent_bytes), seen.servers[0].expected_sent_bytes);
}

TEST(virtual_engine, an_update_is_paid_once_whoever_has_part_in_it) {
  VirtualOptions all = options(Protocol::bsp, 3, 50, ComputeTime::constant);
  all.network = {.update_s = 0.25, .update_s_per_byte = 0.03125};  // one weight of 8 byte: 0.25 s
  const Seen seen = run(all);
  EXPECT_EQ(seen.ends_s[0], 1.5);
  EXPECT_EQ(seen.ends_s[49], 50 * 1.5);
  // Eight workers that never wait: the server, who updates for each gradient, is what is short.
  all = options(Protocol::async, 8, 400, ComputeTime::constant);
  all.protocol.apply = Apply::push;
  all.network.update_s = 0.5;
  const Seen busy = run(all);
  EXPECT_EQ(busy.ends_s[399] - busy.ends_s[199], 200 * 0.5);
}

TEST(virtual_engine, who_dies_is_not_waited_for_and_who_comes_is) {
  VirtualOptions all = options(Protocol::bsp, 3, 30, ComputeTime::constant);
  all.slow = {.factor = 5, .workers = 1};
  all.changes = {{.time_s = 50.5, .worker = 0, .comes = false}};
  const Seen seen = run(all);
  EXPECT_EQ(seen.ends_s[9], 50);
  EXPECT_EQ(seen.ends_s[11] - seen.ends_s[10], 1) << "the slow one is dead";
  all.changes = {{.time_s = 9.5, .worker = 0, .comes = true}};
  const Seen late = run(all);
  EXPECT_EQ(late.ends_s[8], 9) << "two fast ones alone";
  EXPECT_EQ(late.ends_s[29] - late.ends_s[28], 5) << "and then with the slow one";
  all.changes = {{.time_s = 1, .worker = 0}, {.time_s = 1, .worker = 1}, {.time_s = 7, .worker = 2}};
  EXPECT_LT(run(all).ends_s.size(), 30u) << "nobody is left";
}

TEST(virtual_engine, the_same_seed_gives_the_same_events) {
  const VirtualOptions all = options(Protocol::k_async, 9, 500, ComputeTime::pareto, 3);
  EXPECT_EQ(run(all, 3).ends_s, run(all, 3).ends_s);
  VirtualOptions other = all;
  other.seed = 12;
  EXPECT_NE(run(all, 3).ends_s, run(other, 3).ends_s);
}

// Round robin on w^2 / 2: stable for 0 <= eta <= 2 and 0 <= alpha <= (4 - 2 eta) / (4 - eta), Zhang et al. 2015, 4.2.
double elastic_end(int workers, double eta, double alpha) {
  kernels::Context context;
  Quadratic learner(workers);
  const Vector<double> centre("partita::test::centre", 1);
  Kokkos::deep_copy(centre, 1.0);
  VirtualOptions all = options(Protocol::elastic, workers, 800 * workers, ComputeTime::constant);
  all.alpha = alpha;
  VirtualEngine<double> engine(
      context, all, learner, centre, {{0, 1}},
      [](Range, Vector<double> of) { return std::make_unique<ElasticRule<double>>(of); },
      [eta](index_t) { return eta; });
  double loss = 0;
  for (index_t u = 0; u < all.updates; ++u) loss = engine.next()->loss;
  return loss;
}

TEST(virtual_engine, elastic_averaging_is_stable_where_theory_says) {
  for (const int workers : {2, 5})
    for (const double eta : {0.1, 1.0, 1.9}) {
      const double bound = (4 - 2 * eta) / (4 - eta);
      EXPECT_LE(elastic_end(workers, eta, 0.9 * bound), 0.5) << workers << " " << eta;
      EXPECT_FALSE(elastic_end(workers, eta, 1.6 * bound + 0.2) < 1e6) << workers << " " << eta;
    }
  EXPECT_FALSE(elastic_end(3, 2.2, 0.1) < 1e6);
}

TEST(virtual_engine, a_change_of_no_worker_is_refused) {
  VirtualOptions all = options(Protocol::bsp, 2, 1, ComputeTime::constant);
  all.changes = {{.time_s = 1, .worker = 2}};
  EXPECT_EQ(testing::caught<UsageError>([&] { run(all); }),
            "VirtualEngine: worker 2 changes at 1 s: expected a worker below 2, a time of at least 0");
}

}  // namespace
}  // namespace partita::parallel::server::virtual_engine_tests
