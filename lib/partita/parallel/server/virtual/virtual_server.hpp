// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>

#include <partita/parallel/server/pending_update.hpp>
#include <partita/parallel/server/virtual/simulation.hpp>

namespace partita::parallel::server {

/// A server of the virtual engine: its machine, its numbers, and what becomes of both.
template <class Scalar>
class VirtualServer final : public ServerActions {
 public:
  using Real = nn::Sum<Scalar>;

  VirtualServer(Simulation<Scalar>& world, int number, Range keys, Vector<Scalar> weights,
                std::unique_ptr<UpdateRule<Scalar>> rule);

  void push(const VirtualEvent<Scalar>& event);

  void keep(const Push& push, index_t update) override;
  void drop(const Push& push) override;
  void update(index_t update) override;
  void judge(int worker, index_t update) override;
  void reply(int worker) override;
  void stop(int worker) override;
  void end(int worker) override;

  /// Of a push and of a pull's answer; of a sparse model of these rows, whose numbers travel, too.
  index_t gradient_bytes(int worker, std::span<const std::int32_t> rows = {}) const;
  index_t weight_bytes(std::span<const std::int32_t> rows = {}) const;

  ServerMachine machine;
  ServerStatistics statistics;
  /// Keys that workers have handed in (rows of a sparse model), and those of them that an update had changed since the
  /// pull.
  index_t handed_in = 0, conflicts = 0;

 private:
  struct Part {
    PendingUpdate known;
    std::vector<std::shared_ptr<const TouchedRows>> rows;  // of a sparse model
  };
  void take(index_t update, int worker, index_t node);
  void count_conflicts(const Push& push);

  Simulation<Scalar>& world_;
  int number_;
  Range keys_;
  Vector<Scalar> weights_;
  std::unique_ptr<UpdateRule<Scalar>> rule_;
  GradientStore<Real> store_;
  std::map<index_t, Part> parts_;
  const Payload<Scalar>* payload_ = nullptr;  // of the push that is handled
  index_t stale_ = 0;
  std::vector<index_t> changed_;  // of each row of a sparse model: by which update, from 1
};

}  // namespace partita::parallel::server
