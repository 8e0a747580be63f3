// SPDX-License-Identifier: BSD-3-Clause
// What a worker and a server move, against a ping-pong of the same messages from and to like buffers, in turn: the
// share of the bandwidth that is left when notes, machines and the loop of the server have taken theirs. The update is
// left out: the rule of the server does nothing.
//
//     mpiexec -n 2 build/release/tests/perf/push_pull [weights] [pairs]      # default 1863690 weights, 200 pairs
#include <cstdlib>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include <partita/comm/environment.hpp>
#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/metrics/statistics.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/mpi/server_rank.hpp>
#include <partita/parallel/server/mpi/worker_rank.hpp>

using namespace partita;
namespace ps = parallel::server;

namespace {

class NoRule final : public ps::UpdateRule<float> {
 public:
  void apply(kernels::Context&, Vector<float>, index_t, double) override {}
};

// The two sides of a ping-pong, each with the buffers that it sends gradients or weights from and receives them in.
class PingPong {
 public:
  PingPong(const comm::Communicator& comm, ConstVector<float> leaves, Vector<float> arrives)
      : leaves_(leaves),
        arrives_(arrives),
        tag_(comm.claim_tag()),
        out_(comm, 1 - comm.rank(), static_cast<index_t>(leaves.extent(0))),
        in_(comm, 1 - comm.rank(), static_cast<index_t>(leaves.extent(0))) {}

  // Gradient there, weights back, each into a receive that waits for it where pushes and pulls have one, too.
  double round(const Exec& exec, bool begins) {
    const std::int64_t start = now_ns();
    if (begins) {
      in_.receive(exec, arrives_, tag_);
      out_.send(exec, leaves_, tag_, nullptr);
      in_.wait(exec);
      out_.wait(exec);
    } else {
      in_.receive(exec, arrives_, tag_);
      in_.wait(exec);
      out_.send(exec, leaves_, tag_, nullptr);
      out_.wait(exec);
    }
    return seconds(now_ns() - start);
  }

 private:
  ConstVector<float> leaves_;
  Vector<float> arrives_;
  int tag_;
  comm::PointToPoint<float> out_, in_;
};

// In place of a gradient's computation: the clock, and a ping-pong.
class Pacer final : public ps::Learner<float> {
 public:
  Pacer(index_t keys, const Exec& exec)
      : exec_(exec), gradient_("push_pull::gradient", static_cast<std::size_t>(keys)) {}
  index_t keys() const override { return static_cast<index_t>(gradient_.extent(0)); }
  index_t batch() const override { return 1; }
  index_t samples(int) const override { return 1; }
  ps::Gradient<float> gradient(int, index_t clock, const nn::Window<const float>&) override {
    if (clock > 0) push_pull_s.push_back(seconds(now_ns() - since_ns_));
    if (ball) ping_pong_s.push_back(ball->round(exec_, true));
    since_ns_ = now_ns();
    return {gradient_, {&loss_, 1}, 1};
  }
  ConstVector<float> memory() const { return gradient_; }

  std::unique_ptr<PingPong> ball;
  std::vector<double> push_pull_s, ping_pong_s;

 private:
  Exec exec_;
  Vector<float> gradient_;
  double loss_ = 0;
  std::int64_t since_ns_ = 0;
};

void measure(comm::Environment& env, index_t keys, index_t pairs) {
  constexpr index_t warmup = 10;
  const comm::Communicator& world = env.world();
  kernels::Context context{Exec()};
  const Exec& exec = context.exec();
  Pacer pacer(keys, exec);
  const ps::RankOptions options{.protocol = {.protocol = ps::Protocol::bsp},
                                .workers = 1,
                                .first_worker = 1,
                                .updates = pairs + warmup,
                                .keys = {{0, keys}}};
  ps::Post post(world);
  const Vector<float> memory("push_pull::weights", static_cast<std::size_t>(keys));
  if (world.is_root()) {
    ps::ServerRank<float> server(context, post, options, pacer, 0, memory, std::make_unique<NoRule>());
    const Vector<float> arrives("push_pull::arrives", static_cast<std::size_t>(keys));
    PingPong ball(world, memory, arrives);
    index_t played = 0;
    while (!server.done()) {
      server.serve();
      const index_t replies = server.statistics.sent_bytes / (keys * static_cast<index_t>(sizeof(float)));
      for (; played < replies; ++played) ball.round(exec, false);  // the worker has its weights, and begins
    }
  } else {
    ps::WorkerRank<float> worker(context, post, options, pacer, 0);
    pacer.ball = std::make_unique<PingPong>(world, pacer.memory(), memory);
    worker.begin();
    while (!worker.done()) {
      worker.serve();
      worker.work();
    }
    std::vector<double> ratios;  // of a ping-pong to the push and pull that follow it
    for (std::size_t k = warmup; k < pacer.push_pull_s.size(); ++k)
      ratios.push_back(pacer.ping_pong_s[k] / pacer.push_pull_s[k]);
    const double there_and_back = 2.0 * static_cast<double>(keys) * sizeof(float);
    fmt::print(
        "{} weights, {} pairs: ping-pong {:.2f} GB/s, push and pull {:.2f} GB/s; ratio median {:.3f}, deciles {:.3f} "
        "to "
        "{:.3f}, range {:.3f} to {:.3f}\n",
        keys, ratios.size(), there_and_back / metrics::median(pacer.ping_pong_s) * 1e-9,
        there_and_back / metrics::median(pacer.push_pull_s) * 1e-9, metrics::median(ratios),
        metrics::quantile(ratios, 0.1), metrics::quantile(ratios, 0.9), metrics::quantile(ratios, 0.0),
        metrics::quantile(ratios, 1.0));
  }
}

}  // namespace

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);
  return env.guard([&] {
    const index_t keys = argc > 1 ? std::atoll(argv[1]) : 1863690, pairs = argc > 2 ? std::atoll(argv[2]) : 200;
    if (env.size() != 2 || keys < 1 || pairs < 1)
      refuse<UsageError>("push_pull", fmt::format("{} ranks, {} weights, {} pairs", env.size(), keys, pairs),
                         "2 ranks: push_pull [weights] [pairs]");
    measure(env, keys, pairs);
    return ExitCode::done;
  });
}
