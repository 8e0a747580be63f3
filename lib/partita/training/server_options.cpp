// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/server_options.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace partita::training {
namespace {

using config::Deck;
using config::IntRange;
using config::RealRange;
using parallel::server::Apply;
using parallel::server::ComputeTime;
using parallel::server::Protocol;
using parallel::server::SlowKind;

constexpr index_t most_workers = 4096, most_servers = 64;

enum class NetworkKind { free, links, calibrated };
constexpr Named<NetworkKind> network_kinds[] = {
    {"free", NetworkKind::free}, {"links", NetworkKind::links}, {"calibrated", NetworkKind::calibrated}};

int small(Deck& deck, const char* key, int fallback, IntRange range, const config::Doc& doc) {
  return static_cast<int>(deck.integer(key, fallback, range, doc));
}

// Servers and workers of the ranks.
void read_ranks(Deck& deck, ServerOptions& options, int ranks) {
  options.servers = small(deck, "server.count", options.servers, {1, most_servers},
                          {"servers, each of which has a range of the weights", "servers"});
  deck.choice("server.balance", options.balance, parallel::server::balances,
              "what servers have equally much of: weights, or weights that gradients touch, as counted over the first "
              "ones of each worker");
  deck.choice(
      "server.placement", options.placement, placements,
      "mpi engine: servers have ranks of their own (the first ones), or the first ranks are servers and workers");
  options.workers = small(deck, "virtual.workers", 8, {1, most_workers},
                          {"virtual engine: workers that one process emulates", "workers"});
  if (options.engine == Engine::virtual_time) {
    if (ranks > 1)
      deck.reject("run.engine", fmt::format("\"virtual\" on {} ranks", ranks), "one rank, which emulates all workers");
    return;
  }
  const int alone = options.placement == Placement::alone ? options.servers : 0;
  options.workers = ranks == 0 ? 1 : ranks - alone;
  if (ranks > 0 && (options.workers < 1 || options.servers > ranks))
    deck.reject("server.count", fmt::format("{} servers on {} rank{}", options.servers, ranks, ranks == 1 ? "" : "s"),
                options.placement == Placement::alone ? "at least one rank more than servers, for a worker"
                                                      : "at most as many servers as ranks");
}

// Keys of other protocols and of the other engine stand idle, so that one deck serves a study over all of them.
// How many of the workers an update waits for: by server.k or by server.backup.
void read_k(Deck& deck, ServerOptions& options) {
  auto& protocol = options.protocol;
  const int backup =
      small(deck, "server.backup", 0, {0, most_workers},
            {"bsp, k-sync: workers that an update does not wait for: k-sync with k = workers - backup", "workers"});
  const int k = small(deck, "server.k", 0, {0, 1 << 20},
                      {"k-sync, k-batch-sync, k-async, k-batch-async: gradients of an update; 0 = workers - backup in "
                       "k-sync, else 1",
                       "gradients"});
  const bool heeded = protocol.protocol == Protocol::k_sync || protocol.protocol == Protocol::bsp;
  if (heeded && backup >= options.workers)
    deck.reject("server.backup", fmt::format("{} of {} workers", backup, options.workers), "less than all workers");
  if (protocol.protocol == Protocol::bsp && backup > 0) protocol.protocol = Protocol::k_sync;
  const bool sync = protocol.protocol == Protocol::k_sync;
  protocol.k = k > 0 ? k : sync ? options.workers - backup : 1;
  if (sync && k > 0 && backup > 0 && k != options.workers - backup)
    deck.reject("server.k", fmt::format("{} beside {} backup workers of {}", k, backup, options.workers),
                "one of the two, or k = workers - backup");
  if ((sync || protocol.protocol == Protocol::k_async) && protocol.k > options.workers)
    deck.reject("server.k", fmt::format("{} of {} workers", protocol.k, options.workers), "at most all workers");
}

void read_protocol(Deck& deck, ServerOptions& options, const TrainOptions& train) {
  auto& protocol = options.protocol;
  deck.choice("server.protocol", protocol.protocol, parallel::server::protocols,
              "when workers may go on and what an update is made of: README of param_server draws them");
  protocol.apply = protocol.protocol == Protocol::async ? Apply::push : Apply::clock;
  deck.choice("server.apply", protocol.apply, parallel::server::applies,
              "bsp, ssp, async: an update is made of all gradients of a clock, or of each as it arrives");
  deck.integer("server.staleness", protocol.staleness, IntRange::count(),
               {"ssp: clocks that the fastest worker may be ahead of the slowest", "clocks"});
  read_k(deck, options);
  deck.integer(
      "server.accumulate", protocol.accumulate, {1, 1 << 20},
      {"gradients that a worker adds up before it hands them in; elastic: local steps between two looks at the "
       "centre",
       "gradients"});
  deck.boolean("server.staleness_rate", options.staleness_rate,
               "divide the learning rate of an update by the mean staleness of its gradients, where that is above 1");
  deck.real("server.alpha", options.alpha, {0, 1}, "elastic: share of the difference to the centre that is taken back");

  const bool whole = protocol.protocol == Protocol::bsp && protocol.apply == Apply::clock && options.servers == 1;
  if (train.update.not_finite == nn::NotFinite::skip && !whole)
    deck.reject("train.not_finite", "only bsp with one server knows whether all of a gradient is finite", "\"stop\"");
  if (train.update.clip_norm > 0 && !whole)
    deck.reject("train.clip_norm", "only bsp with one server knows the whole norm ahead of an update",
                "0, or server.protocol = \"bsp\" with server.count = 1");
  const auto& rule = train.update.optimizer;
  if (protocol.protocol == Protocol::elastic &&
      (rule.kind != kernels::Optimizer::sgd || rule.momentum != 0 || rule.weight_decay != 0))
    deck.reject("train.optimizer", "elastic averaging takes plain steps", "\"sgd\" without momentum and weight_decay");
  if (protocol.protocol == Protocol::elastic && options.staleness_rate)
    deck.reject("server.staleness_rate", "elastic averaging has rates of workers", "false");
}

void read_compute(Deck& deck, ServerOptions& options) {
  auto& compute = options.compute;
  deck.choice("virtual.compute", compute.kind, parallel::server::compute_times,
              "law of the time of a worker's gradient; trace: times of a file, virtual.trace; calibrated: of a record, "
              "virtual.calibration");
  deck.real("virtual.compute_mean_s", compute.mean_s, RealRange::above(0), {"its mean, a shift included", "virtual s"});
  deck.real("virtual.compute_shift_s", compute.shift_s, RealRange::at_least(0),
            {"shifted_exponential, uniform: the shortest time", "virtual s"});
  if (compute.kind == ComputeTime::pareto) compute.shape = 2.5;
  deck.real("virtual.compute_shape", compute.shape, RealRange::above(0),
            "pareto: exponent, above 1 (default 2.5); lognormal: deviation of the logarithm (default 1)");
  const std::string trace =
      deck.text("virtual.trace", std::string(), "trace: file of times in seconds, one a line, # comments");
  if (compute.kind == ComputeTime::pareto && compute.shape <= 1)
    deck.reject("virtual.compute_shape", fmt::format("{} of pareto, which has no mean", compute.shape), "above 1");
  if (compute.shift_s > compute.mean_s)
    deck.reject("virtual.compute_shift_s", fmt::format("{} s of a mean of {} s", compute.shift_s, compute.mean_s),
                "at most virtual.compute_mean_s");
  if ((compute.kind == ComputeTime::trace) != !trace.empty())
    deck.reject("virtual.trace", trace.empty() ? "no file" : "a file that nobody reads",
                "a file, and virtual.compute = \"trace\"");
  if (compute.kind == ComputeTime::trace) {
    compute.trace = parallel::server::read_trace(trace);
    compute.scale_trace = deck.given("virtual.compute_mean_s");
  }
}

void read_slow_downs(Deck& deck, ServerOptions& options) {
  auto& slow = options.slow;
  deck.choice("virtual.slow_kind", slow.kind, parallel::server::slow_kinds,
              "how workers become slow: at random in each gradient; drifting to and fro; in bursts");
  deck.real("virtual.slow_factor", slow.factor, RealRange::at_least(1), "how much longer a gradient then takes");
  deck.real("virtual.slow_probability", slow.probability, {0, 1},
            "random, bursty: share of gradients that take so long; 1 = always");
  slow.workers = small(deck, "virtual.slow_workers", slow.workers, {0, most_workers},
                       {"the first so many workers become slow; 0 = all", "workers"});
  deck.real("virtual.slow_period_s", slow.period_s, RealRange::at_least(0),
            {"drifting: from fast to slow and back", "virtual s"});
  deck.real("virtual.slow_burst", slow.burst, RealRange::at_least(1), {"bursty: mean length of a burst", "gradients"});
  if (slow.workers > options.workers)
    deck.reject("virtual.slow_workers", fmt::format("{} of {}", slow.workers, options.workers), "at most all workers");
  if (slow.kind == SlowKind::drifting && slow.period_s <= 0)
    deck.reject("virtual.slow_period_s", "0 s of a drift", "above 0");
  if (slow.kind == SlowKind::bursty && slow.burst < parallel::server::shortest_burst(slow.probability))
    deck.reject("virtual.slow_burst",
                fmt::format("bursts of {} gradients for a share of {}", slow.burst, slow.probability),
                fmt::format("at least {:.6g}", parallel::server::shortest_burst(slow.probability)));
}

void read_network(Deck& deck, ServerOptions& options, NetworkKind& kind) {
  auto& network = options.network;
  deck.choice("virtual.network", kind, network_kinds,
              "messages cost nothing; or links with latency and bandwidth, and servers with queues; or these as in a "
              "record, virtual.calibration");
  const auto real = [&](const char* key, double& option, const config::Doc& doc) {
    deck.real(key, option, RealRange::at_least(0), doc);
    if (kind != NetworkKind::links && option > 0)
      deck.reject(key,
                  kind == NetworkKind::free ? "virtual.network = \"free\" costs nothing"
                                            : "virtual.network = \"calibrated\" is that of a record",
                  "0, or virtual.network = \"links\"");
  };
  real("virtual.latency_s", network.latency_s, {"links: of a message, one way", "virtual s"});
  real("virtual.byte_per_s", network.byte_per_s,
       {"links: of a server, in each direction; 0 = without limit", "byte/s"});
  real("virtual.service_s", network.service_s, {"links: a server's work for a message", "virtual s"});
  real("virtual.service_s_per_byte", network.service_s_per_byte, {"links: and for each of its bytes", "virtual s"});
  real("virtual.update_s", network.update_s, {"links: a server's work for an update", "virtual s"});
  real("virtual.update_s_per_byte", network.update_s_per_byte,
       {"links: and for each byte of its weights", "virtual s"});
}

// From a run of the engine of ranks to the one in virtual time.
void read_calibration(Deck& deck, ServerOptions& options, const TrainOptions& train, NetworkKind network, int ranks) {
  const auto& protocol = options.protocol;
  deck.boolean("server.profile", options.profile,
               "time gradients of other widths and rows ahead of the first step, for virtual.calibration");
  const bool simple = options.engine == Engine::mpi && options.placement == Placement::alone && options.servers == 1 &&
                      (ranks == 0 || options.workers == 1) && protocol.accumulate == 1 &&
                      protocol.protocol != Protocol::elastic && !train.deterministic;
  if (options.profile && !simple)
    deck.reject("server.profile", fmt::format("{} on {} ranks", options.text(), ranks),
                "one server and one worker on 2 ranks of their own, fast mode, server.accumulate = 1, not elastic");
  const std::string path = deck.text("virtual.calibration", std::string(),
                                     "calibrated: record of one server and one worker with server.profile = true");
  const bool wanted = options.compute.kind == ComputeTime::calibrated || network == NetworkKind::calibrated;
  if (wanted == path.empty())
    deck.reject("virtual.calibration", wanted ? "no file" : "a file that nobody reads",
                "a file, and \"calibrated\" for virtual.compute, virtual.network or both");
  if (!wanted) return;
  try {
    options.calibration = read_server_calibration(path);
  } catch (const UsageError& error) {
    deck.reject("virtual.calibration", error.what(), "a record of that kind");
  }
  options.calibrated_network = network == NetworkKind::calibrated;
  if (options.compute.kind == ComputeTime::calibrated) options.compute.trace = options.calibration->compute_s;
}

void read_workers_data(Deck& deck, ServerOptions& options, const TrainOptions& train) {
  deck.reals("server.shares", options.shares, RealRange::above(0),
             "shares of the batch, one for each worker, whatever their sum; [] = even ones");
  deck.boolean("server.measure_shares", options.measure_shares,
               "share the batch by the workers' speed in some gradients of even shares, ahead of the first step");
  deck.real("data.skew_alpha", options.skew.alpha, RealRange::at_least(0),
            "labels differ between workers: Dirichlet concentration, small = few classes each; 0 = alike");
  deck.integer(
      "data.reshuffle_at", options.skew.reshuffle_at, IntRange::count(),
      {"gradient of a worker from which on all samples are shuffled anew, without a skew; 0 = never", "gradients"});
  if (!options.shares.empty() && std::ssize(options.shares) != options.workers)
    deck.reject("server.shares", fmt::format("{} shares of {} workers", options.shares.size(), options.workers),
                "one for each, or [] for even ones");
  if (!options.shares.empty() && options.measure_shares)
    deck.reject("server.measure_shares", "server.shares says who has what", "false, or server.shares = []");
  const bool uneven = !options.shares.empty() || options.measure_shares;
  if (uneven && train.deterministic)
    deck.reject(options.measure_shares ? "server.measure_shares" : "server.shares",
                "train.deterministic = true, where workers share chunks of the batch", "even shares");
  if (options.skew.reshuffle_at > 0 && options.skew.alpha == 0)
    deck.reject("data.reshuffle_at", "data.skew_alpha = 0 has nothing to mend", "0");
}

void read_changes(Deck& deck, ServerOptions& options) {
  const auto read = [&](const char* key, bool comes, const char* help) {
    const std::vector<double> pairs =
        deck.reals(key, std::vector<double>{}, RealRange::at_least(0), {help, "worker, virtual s"});
    if (pairs.size() % 2 != 0) deck.reject(key, fmt::format("{} numbers", pairs.size()), "pairs: worker, time");
    for (std::size_t k = 0; k < pairs.size(); k += 2) {
      if (pairs[k] != std::floor(pairs[k]) || pairs[k] >= options.workers)
        deck.reject(key, fmt::format("worker {}", pairs[k]), fmt::format("0 to {}", options.workers - 1));
      options.changes.push_back({pairs[k + 1], static_cast<int>(pairs[k]), comes});
    }
  };
  read("virtual.deaths", false, "[worker, time, worker, time, ...]: workers that die");
  read(
      "virtual.joins", true,
      "[worker, time, worker, time, ...]: workers that come; one that has not died before is not there from the start");
}

}  // namespace

std::string ServerOptions::text() const {
  std::string words =
      fmt::format("{}, {} server{}", parallel::server::to_string(protocol, workers), servers, servers == 1 ? "" : "s");
  if (protocol.accumulate > 1) words += fmt::format(", every {}", protocol.accumulate);
  return words;
}

ServerOptions read_server_options(Deck& deck, const TrainOptions& train, int ranks) {
  ServerOptions options;
  deck.choice("run.engine", options.engine, engines,
              "servers and workers are ranks; or one rank emulates them in virtual time, with real gradients");
  read_ranks(deck, options, ranks);
  read_protocol(deck, options, train);
  read_compute(deck, options);
  read_slow_downs(deck, options);
  NetworkKind network = NetworkKind::free;
  read_network(deck, options, network);
  read_calibration(deck, options, train, network, ranks);
  read_changes(deck, options);
  read_workers_data(deck, options, train);
  deck.real("evaluate.target_loss", options.target_loss, RealRange::at_least(0),
            "held-out loss whose time and samples the summary tells; 0 = none");
  if (train.precision != Precision::fp32)
    deck.reject("train.precision", "servers add up and update in fp32", "\"fp32\"");
  if (train.mode != Mode::train) deck.reject("run.mode", "servers train", "\"train\"");
  return options;
}

}  // namespace partita::training
