// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/virtual_engine.hpp>

#include <utility>

#include <partita/parallel/server/virtual/simulation.hpp>
#include <partita/parallel/server/virtual/virtual_server.hpp>
#include <partita/parallel/server/virtual/virtual_worker.hpp>

namespace partita::parallel::server {

template <class Scalar>
VirtualEngine<Scalar>::VirtualEngine(kernels::Context& context, const VirtualOptions& options, Learner<Scalar>& learner,
                                     Vector<Scalar> weights, const std::vector<Range>& keys, const MakeRule& make_rule,
                                     std::function<double(index_t)> rate)
    : world_(
          std::make_unique<Simulation<Scalar>>(context, options, learner, weights, keys, make_rule, std::move(rate))) {}

template <class Scalar>
VirtualEngine<Scalar>::~VirtualEngine() = default;

template <class Scalar>
std::optional<ServerUpdate> VirtualEngine<Scalar>::next() {
  return world_->next();
}

template <class Scalar>
double VirtualEngine<Scalar>::now_s() const {
  return world_->now();
}

template <class Scalar>
std::vector<WorkerStatistics> VirtualEngine<Scalar>::workers() const {
  std::vector<WorkerStatistics> all;
  for (const auto& worker : world_->workers) all.push_back(worker->so_far());
  return all;
}

// Bytes by what the workers say that they sent and were given.
template <class Scalar>
std::vector<ServerStatistics> VirtualEngine<Scalar>::servers() const {
  std::vector<ServerStatistics> all;
  for (const auto& server : world_->servers) {
    all.push_back(server->statistics);
    const std::size_t number = all.size() - 1;
    for (const auto& worker : world_->workers) {
      all.back().expected_received_bytes += static_cast<double>(worker->pushed_bytes[number]);
      all.back().expected_sent_bytes += static_cast<double>(worker->pulled_bytes[number]);
    }
  }
  return all;
}

template <class Scalar>
double VirtualEngine<Scalar>::conflict_rate() const {
  index_t handed_in = 0, conflicts = 0;
  for (const auto& server : world_->servers) {
    handed_in += server->conflicts.handed_in();
    conflicts += server->conflicts.conflicts();
  }
  return handed_in == 0 ? 0 : static_cast<double>(conflicts) / static_cast<double>(handed_in);
}

template class VirtualEngine<float>;
template class VirtualEngine<double>;

}  // namespace partita::parallel::server
