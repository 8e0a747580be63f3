// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/measure_profile.hpp>

#include <algorithm>
#include <cmath>
#include <span>

#include <partita/comm/point_to_point.hpp>
#include <partita/core/clock.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/metrics/statistics.hpp>
#include <partita/training/model_learner.hpp>

namespace partita::training {
namespace {

index_t times(index_t width, double factor) {
  return std::max<index_t>(1, std::llround(static_cast<double>(width) * factor));
}

// What has no width of this kind is as it is.
ModelOptions scaled(ModelOptions model, double factor) {
  for (index_t& width : model.mlp.hidden) width = times(width, factor);
  model.embedding = times(model.embedding, factor);
  return model;
}

template <class Scalar>
nn::Model<Scalar> make_scaled(const ServerParts<Scalar>& parts, double factor, bool weights) {
  const nn::ModelOptions how = parts.train.model();
  return plan_model<Scalar>(scaled(parts.model_options, factor), parts.data.shape(), how)
      .make(weights ? how : how.without_weights());
}

template <class Scalar>
double median_gradient_s(const ServerParts<Scalar>& parts, nn::Model<Scalar>& model, index_t rows) {
  constexpr int warmup = 1, gradients = 5;
  const nn::WholeRows<Scalar> head(parts.train.loss, model);
  ModelLearner<Scalar> learner(parts.context, parts.train, parts.data, model, head, 1, {0}, {.rows = {rows}});
  const nn::Window<const Scalar> weights(ConstVector<Scalar>(model.parameters()));
  std::vector<double> seconds_of;
  for (int k = 0; k < warmup + gradients; ++k) {
    const std::int64_t start = now_ns();
    learner.gradient(0, k, weights);
    parts.context.exec().fence("partita::training::measure_profile: end of a gradient");
    if (k >= warmup) seconds_of.push_back(seconds(now_ns() - start));
  }
  return metrics::median(seconds_of);
}

// One way, there and back, of numbers that the sender has just written. On the worker, which begins.
template <class Scalar>
double median_message_s(const comm::Communicator& world, int worker, int server, index_t weights) {
  constexpr int warmup = 2, messages = 15;
  const int tag = world.claim_tag();
  const bool begins = world.rank() == worker;
  if (!begins && world.rank() != server) return 0;
  const Exec exec;
  const auto n = static_cast<std::size_t>(weights);
  const Vector<Scalar> leaves("partita::training::measure_profile::leaves", n);
  const Vector<Scalar> arrives("partita::training::measure_profile::arrives", n);
  comm::PointToPoint<Scalar> out(world, begins ? server : worker, weights), in(world, out.peer(), weights);
  const auto receive = [&] {
    in.receive(exec, arrives, tag);
    in.wait(exec);
  };
  std::vector<double> one_way_s;
  for (int k = 0; k < warmup + messages; ++k) {
    kernels::fill<Scalar>(exec, Scalar(1), leaves);
    exec.fence("partita::training::measure_profile: what leaves is written");
    if (!begins) receive();
    const std::int64_t start = now_ns();
    out.send(exec, leaves, tag, nullptr);
    if (begins) receive();
    out.wait(exec);
    if (k >= warmup) one_way_s.push_back(seconds(now_ns() - start) / 2);
  }
  return metrics::median(one_way_s);
}

}  // namespace

template <class Scalar>
ServerProfile measure_profile(const ServerParts<Scalar>& parts, int rank_of_worker) {
  constexpr int first_server = 0;
  const index_t all = parts.train.division(parts.server.workers, 0).rows.extent;
  const index_t least = parts.train.micro_batches;
  ServerProfile profile;
  std::vector<index_t> rows;
  for (const index_t part : {all / 4, all / 2, all})
    if (part >= least && (rows.empty() || part > rows.back())) rows.push_back(part);
  for (const index_t part : rows) profile.rows.push_back(static_cast<double>(part));
  for (const double factor : {0.25, 0.5, 1.0, 2.0, 4.0}) {
    const nn::Model<Scalar> shapes = make_scaled(parts, factor, false);
    const auto flop = shapes.flop(all).total() / static_cast<double>(all);
    if (!profile.flop_per_row.empty() && flop <= profile.flop_per_row.back()) continue;
    profile.flop_per_row.push_back(flop);
    const index_t weights = shapes.table().size();
    profile.bytes.push_back(static_cast<double>(weights) * sizeof(Scalar));
    profile.message_s.push_back(median_message_s<Scalar>(parts.world, rank_of_worker, first_server, weights));
    for (std::size_t r = 0; r < rows.size(); ++r) profile.gradient_s.push_back(0);
    if (parts.world.rank() != rank_of_worker) continue;
    nn::Model<Scalar> model = make_scaled(parts, factor, true);
    for (std::size_t r = 0; r < rows.size(); ++r)
      profile.gradient_s[profile.gradient_s.size() - rows.size() + r] = median_gradient_s(parts, model, rows[r]);
  }
  parts.world.broadcast(std::span<double>(profile.gradient_s), rank_of_worker);
  parts.world.broadcast(std::span<double>(profile.message_s), rank_of_worker);
  return profile;
}

template ServerProfile measure_profile(const ServerParts<float>&, int);

}  // namespace partita::training
