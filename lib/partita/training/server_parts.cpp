// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/server_parts.hpp>

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include <partita/core/extent.hpp>
#include <partita/parallel/replicas.hpp>
#include <partita/training/verification.hpp>
#include <partita/training/worker_shares.hpp>

namespace partita::training {

namespace ps = parallel::server;

WorkersData workers_data(const TrainOptions& train, const ServerOptions& server, std::span<const double> shares) {
  WorkersData has{.skew = server.skew};
  if (!shares.empty()) has.rows = rows_of_shares(train.batch, shares, train.micro_batches);
  return has;
}

index_t samples_of_update(const TrainOptions& train, const ServerOptions& server) {
  const ps::Rules rules = ps::rules_of(server.protocol, server.workers);
  const index_t of_all = train.batch * (rules.elastic ? 1 : server.protocol.accumulate);
  return rules.group == 0 ? of_all : std::max<index_t>(1, of_all * rules.group / server.workers);
}

index_t updates_of(const TrainOptions& train, const ServerOptions& server, index_t steps_per_epoch) {
  if (train.epochs == 0) return train.steps;
  const index_t samples = checked_product(checked_product(train.epochs, steps_per_epoch), train.batch);
  const index_t updates = std::max<index_t>(1, samples / samples_of_update(train, server));
  return train.steps == 0 ? updates : std::min(train.steps, updates);
}

index_t evaluate_every(const TrainOptions& train, const ServerOptions& server, index_t steps_per_epoch) {
  if (train.evaluate_every > 0) return train.evaluate_every;
  return std::max<index_t>(1, checked_product(steps_per_epoch, train.batch) / samples_of_update(train, server));
}

std::vector<metrics::SummaryRow> time_to_target(const ServerOptions& server, index_t first_step,
                                                std::span<const metrics::EvaluationRow> evaluation,
                                                std::span<const double> time_s, std::span<const index_t> samples,
                                                const char* time_metric) {
  if (server.target_loss <= 0) return {};
  double time = metrics::not_a_number, seen = metrics::not_a_number;
  const auto reached = std::find_if(evaluation.begin(), evaluation.end(),
                                    [&](const auto& row) { return row.loss <= server.target_loss; });
  const index_t done = reached == evaluation.end() ? 0 : reached->step - first_step;
  if (done >= 1 && done <= std::ssize(time_s)) {
    const auto steps = static_cast<std::size_t>(done);
    time = time_s[steps - 1];
    seen = static_cast<double>(
        std::accumulate(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(steps), index_t{0}));
  }
  const std::string unit = std::string(time_metric).starts_with("virtual") ? "virtual s" : "s";
  return {ps::summary_row(time_metric, time, 1, "cost", unit),
          ps::summary_row("samples_to_target", seen, 1, "cost", "1")};
}

std::function<double(index_t)> rate_of(const TrainOptions& train, index_t updates) {
  return [rate = train.update.learning_rate, schedule = train.schedule, updates](index_t update) {
    return rate * nn::learning_rate_factor(schedule, update, updates);
  };
}

template <class Scalar>
std::unique_ptr<ps::UpdateRule<Scalar>> make_rule(const ServerParts<Scalar>& parts,
                                                  const std::function<double(index_t)>& rate, Range keys,
                                                  Vector<Scalar> weights) {
  if (parts.server.protocol.protocol == ps::Protocol::elastic)
    return std::make_unique<ps::ElasticRule<Scalar>>(weights);
  return std::make_unique<ps::OptimizerRule<Scalar>>(parts.context.exec(), parts.train.update, parts.model, keys,
                                                     weights, rate, parts.server.staleness_rate);
}

template <class Scalar>
metrics::Table strategy_of(const ModelLearner<Scalar>& learner, const ps::KeyLoads& loads,
                           std::vector<ps::WorkerStatistics> workers, std::vector<ps::ServerStatistics> servers,
                           bool is_virtual) {
  for (std::size_t w = 0; w < workers.size(); ++w) workers[w].rows = learner.samples(static_cast<int>(w));
  const auto whole = static_cast<double>(loads.below(learner.keys()));
  for (ps::ServerStatistics& of : servers) of.load_share = static_cast<double>(loads.of(of.keys)) / whole;
  return ps::strategy_table(workers, servers, is_virtual);
}

template <class Scalar>
driver::Workload describe_servers(const ServerParts<Scalar>& parts, const std::string& workers) {
  const TrainOptions& train = parts.train;
  const ServerOptions& server = parts.server;
  const index_t steps_per_epoch = parts.data.steps_per_epoch();
  driver::Workload work;
  work.attributes = {{"protocol", std::string(name_of(ps::protocols, server.protocol.protocol))},
                     {"workers", std::int64_t{server.workers}},
                     {"servers", std::int64_t{server.servers}}};
  work.strategy = fmt::format("{}{}", server.text(), train.deterministic ? "/deterministic" : "");
  work.description = fmt::format("{}: {} parameters\n{}, {}, batch {} of all workers\nkernels: {}",
                                 to_string(parts.model_options, parts.data.shape()), parts.model.table().size(),
                                 workers, server.text(), train.batch,
                                 train.deterministic ? fmt::format("portable, deterministic in {} chunks", train.chunks)
                                                     : kernels::math_backend_name());
  work.steps = updates_of(train, server, steps_per_epoch);
  work.samples_per_step = samples_of_update(train, server);
  work.tokens_per_sample = parts.data.shape().sequence();
  work.flop_per_step = train.flop(parts.model, work.samples_per_step);
  work.evaluate_every = evaluate_every(train, server, steps_per_epoch);
  return work;
}

template <class Scalar>
driver::Verification judge_servers(const ServerParts<Scalar>& parts, const metrics::RunResults& results,
                                   std::span<const double> losses) {
  const bool waits = parts.server.protocol.protocol == ps::Protocol::bsp;
  return judge(parts.train, parts.data.shape().classes, results, losses, {},
               waits ? Judgement::training : Judgement::finite, "bytes agree");
}

template <class Scalar>
std::string weights_hash(const ServerParts<Scalar>& parts) {
  return fmt::format("{:016x}", parallel::bits_hash<Scalar>(parts.model.parameters(), parallel::hash_of_nothing));
}

template std::unique_ptr<ps::UpdateRule<float>> make_rule(const ServerParts<float>&,
                                                          const std::function<double(index_t)>&, Range, Vector<float>);
template metrics::Table strategy_of(const ModelLearner<float>&, const ps::KeyLoads&, std::vector<ps::WorkerStatistics>,
                                    std::vector<ps::ServerStatistics>, bool);
template driver::Workload describe_servers(const ServerParts<float>&, const std::string&);
template driver::Verification judge_servers(const ServerParts<float>&, const metrics::RunResults&,
                                            std::span<const double>);
template std::string weights_hash(const ServerParts<float>&);

}  // namespace partita::training
