// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/measured_shares.hpp>

#include <memory>
#include <span>

#include <partita/core/clock.hpp>
#include <partita/training/worker_shares.hpp>

namespace partita::training {

template <class Scalar>
std::vector<double> measured_shares(const ServerParts<Scalar>& of, int first_worker) {
  constexpr index_t warmup = 1, probes = 3;
  const int number = of.world.rank() - first_worker;
  std::unique_ptr<ModelLearner<Scalar>> learner;
  if (number >= 0)
    learner = std::make_unique<ModelLearner<Scalar>>(of.context, of.train, of.data, of.model, of.head,
                                                     of.server.workers, std::vector<int>{number});
  const nn::Window<const Scalar> weights(ConstVector<Scalar>(of.model.parameters()));
  const auto wait = [&] { of.world.barrier([] {}); };  // leaves the cores to those who compute
  wait();
  std::int64_t took_ns = 0;
  for (index_t n = 0; learner && n < warmup + probes; ++n) {
    const std::int64_t begin_ns = now_ns();
    learner->gradient(number, n, weights);
    of.context.exec().fence("partita::training: a gradient whose time is measured is there");
    if (n >= warmup) took_ns += now_ns() - begin_ns;
  }
  wait();
  const std::vector<double> all = of.world.allgather(seconds(took_ns));
  return shares_of_times(std::span<const double>(all).subspan(static_cast<std::size_t>(first_worker)));
}

template std::vector<double> measured_shares(const ServerParts<float>&, int);

}  // namespace partita::training
