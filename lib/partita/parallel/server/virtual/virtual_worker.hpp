// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/parallel/server/elastic_worker.hpp>
#include <partita/parallel/server/virtual/simulation.hpp>

namespace partita::parallel::server {

/// A worker of the virtual engine: its machine, its window of weights, its virtual time.
template <class Scalar>
class VirtualWorker final : public WorkerActions {
 public:
  VirtualWorker(Simulation<Scalar>& world, int number, int servers);

  void begin(index_t clock);
  void leave();
  void replied(const VirtualEvent<Scalar>& event);
  void computed(const VirtualEvent<Scalar>& event);

  void pull(int server, index_t clock, index_t wanted) override;
  void compute(index_t clock) override;
  void cancel() override;
  void push(int server, const Push& push) override;
  void finish() override;

  /// Of a sparse model: what it pulls, or has pulled.
  std::span<const std::int32_t> rows() const {
    return rows_ ? std::span<const std::int32_t>(*rows_) : std::span<const std::int32_t>();
  }
  /// (Learner::window): where the servers' answers go.
  Vector<Scalar> window();
  /// With what is under way.
  WorkerStatistics so_far() const;

  WorkerMachine machine;
  WorkerStatistics statistics;
  int life = 0;
  bool present = false;
  /// Bytes by its own count, to and from each server.
  std::vector<index_t> pushed_bytes, pulled_bytes;

 private:
  Simulation<Scalar>& world_;
  int number_;
  std::vector<double> asked_s_;  // of each server
  double began_s_ = 0, computing_since_s_ = 0;
  index_t drawn_ = 0, computation_ = 0;
  Vector<Scalar> window_;
  std::shared_ptr<const TouchedRows> rows_;
  std::unique_ptr<ElasticWorker<Scalar>> elastic_;
  std::shared_ptr<Payload<Scalar>> payload_;  // what is handed in
};

}  // namespace partita::parallel::server
