// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <partita/comm/point_to_point.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/nn/model.hpp>
#include <partita/parallel/pipeline/action_clock.hpp>
#include <partita/parallel/pipeline/in_order.hpp>

namespace partita::parallel {

/// Deterministic mode, where head and embedding add up a table's gradient piece by piece: what actions wait for beside
/// the rest. The first stage's backward-weights of a micro-batch waits for that of the last stage, which waits until
/// the first one has taken the micro-batch whose place it puts its gradient into, `aside` micro-batches before.
Needs tied_needs(int stages, index_t aside);

/// The least number of micro-batches aside with which a step ends, and as early as with all of them if every pass takes
/// one unit of time.
/// Throws   UsageError, as require_no_deadlock does, for a schedule that cannot end with any number.
index_t tied_aside(const std::vector<nn::Actions>& schedule, int stages);

/// How many times as long as the table the buffers of a rank are, beside its gradient: one for what travels in fast
/// mode, and one for each piece that is put aside in deterministic mode.
/// Throws   UsageError as tied_aside does.
index_t tied_buffers(const std::vector<nn::Actions>& schedule, const std::vector<int>& rank_of_stage, int rank,
                     const nn::Division& division);

/// A table of words that the first stage owns and the head, in the last stage, reads too, where these are different
/// stages: what each does with its gradient, and how the weights get from one rank to the other.
///
///     head's rank    g_head --send--> first rank   g = g_head + g_embedding, w <- optimizer(w, g)
///                    w (a copy) <--send-- w
///
/// Fast mode: the head's rank adds up its gradient aside, and sends it once a step, behind its last piece; the first
/// rank adds it to its own before any all-reduce over replicas: it travels while backward goes on, of each replica on
/// its own, and that all-reduce adds the same sums as ever. What a copy's range of the flat gradient has is zeros.
/// Deterministic mode: the head's gradient of each piece lies in that piece's leaf before the embedding adds to it, as
/// in a model of one stage, and so bits are the same. It is put aside till then: the leaves of later pieces share
/// memory with it. Where both stages are on one rank it is copied, and nothing travels; in fast mode both add to the
/// same sum, and nothing is left to do here.
///
/// Memory   tied_buffers times the n elements of the table, in the type of sums.
/// Traffic  "tied" on the axis, "direct": a step n sums, or n for each piece, one way; n weights the other way.
template <class Scalar>
class TiedTable {
 public:
  using Real = nn::Sum<Scalar>;

  /// `sum` and `inner` are those of this rank's part of the model. `times` hears how long the rank waited within an
  /// action. All that is referred to must outlive this. Collective over the axis.
  TiedTable(const comm::Communicator& axis, const std::vector<nn::Actions>& schedule,
            const std::vector<int>& rank_of_stage, const std::string& tensor, const nn::Model<Scalar>& model,
            const nn::Division& division, nn::GradientSum<Real>& sum, nn::Exchange<Scalar>& inner, ActionClock& times);
  ~TiedTable();

  nn::GradientSum<Real>& sum();
  nn::Exchange<Scalar>& exchange();
  /// The range of the flat weights that is a copy of another rank's; of none, nothing.
  Range copy() const;
  /// Of its buffers; bytes(): in advance.
  index_t allocated() const;
  index_t bytes() const;

 private:
  struct Place;
  class Sum;
  class Exchange;
  nn::GradientSum<Real>& inner_sum_;
  nn::Exchange<Scalar>& inner_;
  std::unique_ptr<Place> place_;
  std::unique_ptr<Sum> sum_;
  std::unique_ptr<Exchange> exchange_;
};

/// The range of a copy in the table of a rank with the last stage and not the first; else nothing.
Range tied_copy(const std::vector<int>& rank_of_stage, int rank, const std::string& tensor,
                const nn::ParameterTable& table);

}  // namespace partita::parallel
