// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>

#include <partita/parallel/server/conflicts.hpp>
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

  void pull(const VirtualEvent<Scalar>& event);
  void push(const VirtualEvent<Scalar>& event);

  void keep(const Push& push, index_t update) override;
  void drop(const Push& push) override;
  void update(index_t update) override;
  void judge(int worker, index_t update) override;
  void reply(int worker) override;
  void stop(int worker) override;
  void end(int worker) override;

  /// Of a pull, of its answer and of a push; of a sparse model of these rows, whose numbers the pull tells.
  index_t question_bytes(std::span<const std::int32_t> rows) const;
  index_t weight_bytes(std::span<const std::int32_t> rows) const;
  index_t gradient_bytes(int worker, std::span<const std::int32_t> rows) const;

  ServerMachine machine;
  ServerStatistics statistics;
  Conflicts conflicts;

 private:
  std::span<const std::int32_t> handed_in() const;
  void take(index_t update, int worker, index_t node);

  Simulation<Scalar>& world_;
  int number_;
  Range keys_;
  Vector<Scalar> weights_;
  std::unique_ptr<UpdateRule<Scalar>> rule_;
  GradientStore<Real> store_;
  std::map<index_t, PendingUpdate> pending_;
  const Payload<Scalar>* payload_ = nullptr;  // of the push that is handled
};

}  // namespace partita::parallel::server
