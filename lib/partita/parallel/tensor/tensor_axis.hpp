// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/reduce_scatter.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/nn/unit.hpp>
#include <partita/parallel/flights.hpp>
#include <partita/parallel/tensor/overlap.hpp>

namespace partita::parallel {

/// Most parts of a product that are under way at once.
inline constexpr index_t most_chunks = 64;

struct TensorOptions {
  comm::Allreduce how = comm::Allreduce::mpi;
  bool deterministic = false;  ///< sums travel as nodes of trees
  bool sequence = false;       ///< norms, residuals and dropout work on some of the tokens
  bool regather = false;       ///< sequence: gathered inputs are not kept, but gathered again in backward
  index_t overlap_chunks = 1;  ///< parts of a product that are added up while the next one is computed; 0: by time
};

/// The ranks that hold one replica of a model between them, and their collectives: plans are made at the first call of
/// a size and kept, shared by all units, since one after the other is under way.
///
/// Traffic  of the plans, on the axis.
template <class Scalar>
class TensorAxis {
 public:
  using Real = nn::Sum<Scalar>;

  /// tokens   of every rank, in sequence mode: T shared by partition(T, ranks, .), along `token_leaves` blocks.
  /// axis must outlive this. Not collective.
  TensorAxis(const comm::Communicator& axis, const TensorOptions& options, index_t T, index_t token_leaves);

  const comm::Communicator& ranks() const { return axis_; }
  const TensorOptions& options() const { return options_; }
  /// Tokens of a rank, of mine; in sequence mode, else all.
  Slice tokens(int rank) const { return tokens_[static_cast<std::size_t>(rank)]; }
  Slice tokens() const { return tokens(axis_.rank()); }
  index_t T() const { return tokens_.front().global; }

  /// inout(n) = the sum over ranks. `number` tells calls of one size apart that are in flight together.
  comm::Plan<Scalar>& allreduce(index_t n, index_t number = 0);
  /// The tree over `leaves` blocks that ranks share by partition(leaves, ranks, .): my nodes of n numbers each -> sum.
  comm::Plan<Real>& tree_allreduce(index_t n, index_t leaves);
  /// Nodes that I bring to that, counted from my first leaf.
  std::vector<Node> my_nodes(index_t leaves) const;

  /// whole (B, T C) = the tokens of all ranks, local (B, my tokens C).
  ///
  /// staging  T B C numbers for more than one row: what travels lies rank by rank.
  /// Runs     collective; fences exec. What travels is counted as "all_gather" and "reduce_scatter".
  void gather_tokens(const Exec& exec, index_t C, ConstMatrix<Scalar> local, Matrix<Scalar> whole,
                     Vector<Scalar> staging);
  /// local = my tokens of the sum over ranks of `whole`, which is left with parts of sums.
  void reduce_scatter_tokens(const Exec& exec, index_t C, Matrix<Scalar> whole, Matrix<Scalar> local,
                             Vector<Scalar> staging);
  /// Numbers of staging for B rows.
  index_t staging(index_t B, index_t C) const { return B > 1 ? B * T() * C : 0; }

  /// The plan from beginning to end. The step does nothing else.
  template <class S, class... Operands>
  void run(comm::Plan<S>& plan, const Exec& exec, const Operands&... operands) {
    const std::int64_t from = now_ns();
    plan.run(exec, operands...);
    waited_s_ += seconds(now_ns() - from);
  }
  /// What is under way while something is computed; finish it in the same pass of the unit that launched it.
  Flights& flights() { return flights_; }
  /// In how many parts products are computed whose sum does not wait for all of them.
  OverlapChoices& overlap() { return overlap_; }
  nn::OverlapTime take_time() {
    nn::OverlapTime time = flights_.take_time();
    time.exposed_s += std::exchange(waited_s_, 0);
    return time;
  }

 private:
  template <class Plan, class Key, class Make>
  static Plan& kept(std::map<Key, std::unique_ptr<Plan>>& plans, const Key& key, const Make& make);
  comm::Segments segments(index_t of_token) const;
  // Between rows of all tokens and rank after rank: to the latter, or back.
  void pack(const Exec& exec, index_t C, Matrix<Scalar> whole, Vector<Scalar> staging) const;
  void unpack(const Exec& exec, index_t C, Vector<Scalar> staging, Matrix<Scalar> whole) const;

  const comm::Communicator& axis_;
  TensorOptions options_;
  std::vector<Slice> tokens_;
  std::map<std::pair<index_t, index_t>, std::unique_ptr<comm::Plan<Scalar>>> allreduces_;
  std::map<std::pair<index_t, index_t>, std::unique_ptr<comm::Plan<Real>>> trees_;
  std::map<index_t, std::unique_ptr<comm::Plan<Scalar>>> gathers_, scatters_;
  Flights flights_{most_chunks};
  OverlapChoices overlap_;
  double waited_s_ = 0;
};

}  // namespace partita::parallel
