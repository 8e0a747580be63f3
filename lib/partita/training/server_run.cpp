// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/server_run.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/accumulated.hpp>
#include <partita/parallel/server/mpi/report.hpp>
#include <partita/training/evaluation.hpp>
#include <partita/training/measure_profile.hpp>
#include <partita/training/measured_shares.hpp>
#include <partita/training/server_checkpoint.hpp>
#include <partita/training/workers_model.hpp>

namespace partita::training {
namespace {

namespace ps = parallel::server;
using metrics::PhaseClass;

constexpr std::size_t phases = ps::doings;

ps::RankOptions rank_options(const ServerOptions& server, index_t updates) {
  return {.protocol = server.protocol,
          .workers = server.workers,
          .first_worker = server.placement == Placement::alone ? server.servers : 0,
          .updates = updates,
          .keys = {}};
}

// What rank 0 knows of a rank since the last step.
void add(ps::Spent& sum, const ps::Spent& more) {
  if (sum.begin_ns == sum.end_ns) sum.begin_ns = more.begin_ns;
  sum.end_ns = more.end_ns;
  for (std::size_t k = 0; k < phases; ++k) sum.s[k] += more.s[k];
}

// What the functions of the workload share.
template <class Scalar>
struct Ranks {
  using Real = nn::Sum<Scalar>;

  Ranks(const ServerParts<Scalar>& of, const CheckpointOptions& saves, const std::string& deck, driver::Workload& work)
      : parts(of),
        updates(updates_of(of.train, of.server, of.data.steps_per_epoch())),
        every(evaluate_every(of.train, of.server, of.data.steps_per_epoch())),
        options(rank_options(of.server, updates)),
        number(of.world.rank() - options.first_worker),
        workers(of,
                workers_data(of.train, of.server,
                             of.server.measure_shares ? measured_shares(of, options.first_worker) : of.server.shares)),
        learner(of.context, of.train, of.data, workers.model(), workers.head(), of.server.workers,
                number < 0 ? std::vector<int>() : std::vector<int>{number}, workers.data()),
        accumulated(of.context.exec(), learner, of.server.protocol.accumulate),
        rate(rate_of(of.train, updates)),
        post(of.world),
        weights(nn::Window<const Scalar>(ConstVector<Scalar>(of.model.parameters()))),
        evaluation(of.model, of.head, of.data),
        checkpoints(saves, deck, parts, options.keys, updates) {
    loads = ps::measure_loads<Scalar>(learner, of.server.workers);
    options.keys = ps::key_ranges(of.model.table(), of.server.servers, of.server.balance, loads);
    const bool elastic = of.server.protocol.protocol == ps::Protocol::elastic;
    ps::Learner<Scalar>& whole =
        of.server.protocol.accumulate > 1 && !elastic ? static_cast<ps::Learner<Scalar>&>(accumulated) : learner;
    const int rank = of.world.rank();
    std::unique_ptr<ps::UpdateRule<Scalar>> rule;
    Vector<Scalar> mine;
    if (rank < options.servers()) {
      const Range keys = options.keys[static_cast<std::size_t>(rank)];
      mine = parallel::part(of.model.parameters(), keys);
      rule = make_rule(parts, rate, keys, mine);
    }
    resume<Scalar>(saves, deck, {of.train, of.context, of.world, of.model, of.model, rule ? rule->keeper() : nullptr},
                   work);
    options.first = work.first_step;
    if (rule)
      server = std::make_unique<ps::ServerRank<Scalar>>(of.context, post, options, whole, rank, mine, std::move(rule));
    if (number >= 0)
      worker = std::make_unique<ps::WorkerRank<Scalar>>(
          of.context, post, options, whole, number,
          ps::ElasticOptions{of.server.alpha, of.server.protocol.accumulate, rate});
  }

  const char* role() const { return server && worker ? "server+worker" : server ? "server" : "worker"; }

  // Until this rank has nothing more to do.
  void run(driver::AsynchronousRun& with) {
    begin_ns = now_ns();
    post.time.take();
    spent.resize(static_cast<std::size_t>(parts.world.size()));
    for (std::size_t r = 0; r < began_ns.size(); ++r) spent[r].begin_ns = spent[r].end_ns = began_ns[r];
    if (server) listen(with);
    if (worker) {
      learner.between_units([this, &with] {
        attend(with);
        if (server) server->serve();
        worker->serve();
        worker->look();
      });
      worker->begin();
    }
    std::int64_t busy_ns = now_ns();
    std::optional<comm::Waiting> waiting;  // for messages, which are looked for
    while ((server && !server->done()) || (worker && !worker->done())) {
      post.time.enter(worker && !worker->finished() ? ps::Doing::pull : ps::Doing::idle);
      attend(with);
      bool did = server && server->serve();
      if (worker) {
        did = worker->serve() || did;
        if (did) waiting.reset();
        did = worker->work() || did;
      }
      if (did) {
        busy_ns = now_ns();
        waiting.reset();
      } else {
        const int server_of = worker ? worker->awaited() : -1;
        if (!waiting)
          waiting.emplace(parts.world.waits(), parts.world.wait(server_of < 0 ? "notes" : "pull", 0, server_of));
        rest(now_ns() - busy_ns);
      }
    }
  }

  // Others may want the core. A nap is at most a hundredth of the wait so far, and a message that comes meanwhile
  // is late by no more.
  static void rest(std::int64_t idle_ns) {
    constexpr std::int64_t shortest_ns = 50'000, longest_ns = 500'000;  // the kernel's timers are not finer
    const std::int64_t nap_ns = std::min(idle_ns / 100, longest_ns);
    if (nap_ns < shortest_ns)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::nanoseconds(nap_ns));
  }

  void attend(driver::AsynchronousRun& with) {
    const index_t step = server ? server->machine().version() : worker->version();
    with.beat(std::max(step, options.first), server ? "serving" : "working");
    if (!warm && step >= with.first_counted()) {
      warm = true;
      with.warm_up_over();
    }
    if (told || !with.should_stop()) return;
    told = true;
    if (parts.world.is_root())
      server->halt();
    else if (worker)
      worker->ask_to_halt();
    else
      server->ask_to_halt();
  }

  void listen(driver::AsynchronousRun& with) {
    server->reported = [this](int rank, const ps::Spent& more) { add(spent[static_cast<std::size_t>(rank)], more); };
    server->asked_to_halt = [&with](const std::string& who) { with.stop(who + " was told to stop"); };
    server->updated = [this, &with](const ps::MadeUpdate& made) {
      squares.insert(squares.end(), made.squares.begin(), made.squares.end());
      const index_t done = made.update + 1;
      if (done % every == 0 || done == updates) keep_weights();
      if (parts.world.is_root()) add_row(with, made);
      if (checkpoints.due(done)) checkpoints.tell(*server, done);
    };
    server->stated = [this, &with](int of, index_t done, std::span<const Real> piece) {
      if (checkpoints.told(of, done, piece)) with.checkpoint(done);
    };
  }

  void keep_weights() {
    const ConstVector<Scalar> mine = server->weights();
    auto& copy = kept.emplace_back(mine.extent(0));
    Kokkos::deep_copy(parts.context.exec(), Kokkos::View<Scalar*, Kokkos::HostSpace>(copy.data(), copy.size()), mine);
    parts.context.exec().fence("partita::training: a copy of the weights is on the host");
  }

  void add_row(driver::AsynchronousRun& with, const ps::MadeUpdate& made) {
    add(spent.front(), post.time.take());
    row.first_step = made.update;
    row.count = 1;
    row.phase_s.clear();
    row.start_ns.clear();
    row.end_ns.clear();
    for (ps::Spent& of : spent) {
      row.phase_s.insert(row.phase_s.end(), of.s.begin(), of.s.end());
      row.start_ns.push_back(of.begin_ns);
      row.end_ns.push_back(of.end_ns);
      of = {.begin_ns = of.end_ns, .end_ns = of.end_ns};
    }
    row.loss = {made.loss};
    row.grad_norm = {metrics::not_a_number};
    row.samples = {made.samples};
    samples.push_back(made.samples);
    time_s.push_back(seconds(now_ns() - begin_ns));
    with.add(row);
  }

  void after(driver::AfterLoop& loop) {
    report = ps::gather_report<Scalar>(parts.world, server.get(), worker.get());
    loop.grad_norms(ps::gather_norms(parts.world, parts.context.exec(), squares, server != nullptr,
                                     server ? server->statistics.updates : updates));
    if (loop.stop()) return checkpoints.save_stopped(loop, server.get(), options.first);
    for (std::size_t k = 0; !loop.stop(); ++k) {
      const index_t step = std::min((options.first / every + static_cast<index_t>(k) + 1) * every, updates);
      whole_weights(k);
      const EvaluationResult result =
          evaluation.run(parts.context, weights, 0, parts.world, [&] { return loop.stop(); });
      loop.evaluated({step, result.loss, result.accuracy, parts.data.held_out_samples()});
      if (step == updates) return;
    }
  }

  // Copy k of all servers becomes the model's weights.
  void whole_weights(std::size_t k) {
    const Exec& exec = parts.context.exec();
    std::vector<Scalar> of_server;
    for (int s = 0; s < options.servers(); ++s) {
      const Range keys = options.keys[static_cast<std::size_t>(s)];
      of_server.resize(static_cast<std::size_t>(keys.extent));
      if (parts.world.rank() == s) of_server = kept[k];
      parts.world.broadcast(std::span<Scalar>(of_server), s);
      Kokkos::deep_copy(exec, parallel::part(parts.model.parameters(), keys),
                        Kokkos::View<const Scalar*, Kokkos::HostSpace>(of_server.data(), of_server.size()));
      exec.fence("partita::training: weights of a server are in the model");
    }
  }

  std::vector<metrics::SummaryRow> summary(const metrics::RunResults& results) const {
    std::vector<metrics::SummaryRow> rows = ps::summarise(report.workers);
    rows.push_back(ps::summary_row("conflict_rate", report.conflict_rate, std::ssize(time_s), "ratio", "1"));
    for (metrics::SummaryRow& each :
         time_to_target(parts.server, options.first, results.evaluation, time_s, samples, "s_to_target"))
      rows.push_back(std::move(each));
    return rows;
  }

  driver::Verification verify(const metrics::RunResults& results, std::span<const double> losses) const {
    driver::Verification verdict;
    verdict.text = parts.world.on_root([&] {
      verdict = judge_root(results, losses);
      return verdict.text;
    });
    parts.world.broadcast(verdict.passed);
    verdict.attributes["parameters_fnv1a"] = weights_hash(parts);
    return verdict;
  }

  driver::Verification judge_root(const metrics::RunResults& results, std::span<const double> losses) const {
    for (const ps::ServerStatistics& of : report.servers)
      if (static_cast<double>(of.sent_bytes) != of.expected_sent_bytes ||
          static_cast<double>(of.received_bytes) != of.expected_received_bytes)
        return {.passed = false, .text = "bytes of servers and of workers differ"};
    return judge_servers(parts, results, losses);
  }

  ServerParts<Scalar> parts;
  index_t updates, every;
  ps::RankOptions options;
  int number;  // of the worker; negative: none
  WorkersModel<Scalar> workers;
  ModelLearner<Scalar> learner;
  ps::KeyLoads loads;
  ps::Accumulated<Scalar> accumulated;
  std::function<double(index_t)> rate;
  ps::Post post;
  PulledWeights<Scalar> weights;
  Evaluation<Scalar> evaluation;
  ServerCheckpoints<Scalar> checkpoints;
  std::unique_ptr<ps::ServerRank<Scalar>> server;
  std::unique_ptr<ps::WorkerRank<Scalar>> worker;

  std::optional<ServerProfile> profile;
  bool warm = false, told = false;
  std::vector<std::vector<Scalar>> kept;  // weights of this server, each evaluate.every updates
  std::vector<double> squares;            // of this server, update by update
  ps::RanksReport report;
  // Rank 0.
  std::int64_t begin_ns = 0;
  std::vector<std::int64_t> began_ns;
  std::vector<ps::Spent> spent;  // by rank
  metrics::StepRows row;
  std::vector<double> time_s;  // of each step
  std::vector<index_t> samples;
};

}  // namespace

template <class Scalar>
ServerRun make_server_run(const ServerParts<Scalar>& parts, const CheckpointOptions& saves, const std::string& deck) {
  driver::Workload work = describe_servers(
      parts, fmt::format("{} workers ({})", parts.server.workers, name_of(placements, parts.server.placement)));
  const auto ranks = std::make_shared<Ranks<Scalar>>(parts, saves, deck, work);
  if (parts.server.profile) ranks->profile = measure_profile(parts, ranks->options.first_worker);
  ranks->began_ns = parts.world.allgather(now_ns());

  work.role = ranks->role();
  work.attributes["engine"] = "mpi";
  work.phases = {{"compute", PhaseClass::compute}, {"pull", PhaseClass::wait},      {"push", PhaseClass::communication},
                 {"serve", PhaseClass::other},     {"update", PhaseClass::compute}, {"idle", PhaseClass::wait}};
  work.tables = [ranks] {
    std::vector<metrics::Table> tables = {
        strategy_of(ranks->learner, ranks->loads, ranks->report.workers, ranks->report.servers, false)};
    if (ranks->profile) tables.push_back(profile_table(*ranks->profile));
    return tables;
  };
  work.summary = [ranks](const metrics::RunResults& results) { return ranks->summary(results); };
  work.verify = [ranks](const metrics::RunResults& results, std::span<const double> losses) {
    return ranks->verify(results, losses);
  };
  if (saves.saves()) {
    work.checkpoint_every = saves.every;
    work.checkpoint = [ranks](index_t done, std::span<const double> losses, const driver::Writing& writing) {
      const auto lock = writing();
      return ranks->checkpoints.write(done, losses);
    };
  }
  return {std::move(work),
          {.run = [ranks](driver::AsynchronousRun& with) { ranks->run(with); },
           .after = [ranks](driver::AfterLoop& loop) { ranks->after(loop); }}};
}

template ServerRun make_server_run(const ServerParts<float>&, const CheckpointOptions&, const std::string&);

}  // namespace partita::training
