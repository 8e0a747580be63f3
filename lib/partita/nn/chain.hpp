// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <partita/nn/observer.hpp>
#include <partita/nn/unit.hpp>
#include <vector>

namespace partita::nn {

template <class Scalar>
using Units = std::vector<std::unique_ptr<Unit<Scalar>>>;

/// Units one after the other: what a model is, and what stands inside a residual. Activations between them, their
/// gradients and what units save live in the block that the caller gives.
///
/// Throws  ShapeError where a unit does not take what the one before it gives.
template <class Scalar>
class Chain {
 public:
  explicit Chain(Units<Scalar> units);

  index_t inputs() const { return units_.front()->inputs(); }
  index_t outputs() const { return units_.back()->outputs(); }
  const Units<Scalar>& units() const { return units_; }
  std::span<const Range> ranges() const { return ranges_; }
  bool may_end_branch() const { return units_.back()->may_end_branch(); }
  double forward_flop(index_t B) const;
  /// Both halves; the first unit's input gradient only if asked for.
  double backward_flop(index_t B, bool input_gradient) const;
  double backward_input_flop(index_t B, bool input_gradient) const;
  double backward_weights_flop(index_t B) const;

  /// Bytes of the block for B rows. A block for B rows serves fewer.
  std::size_t bytes(index_t B) const;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* block, index_t slot,
               Observer& observer) const;

  /// What the caller holds: the chain's input and output, and their gradients.
  struct Ends {
    ConstMatrix<Scalar> x, y;
    Matrix<Scalar> dy;  // may be overwritten
    Matrix<Scalar> dx;  // empty: left out
  };
  void backward_input(const Call<Scalar>& call, const Ends& ends, std::byte* block, index_t slot,
                      Observer& observer) const;
  /// After backward_input of the same rows.
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy, std::byte* block,
                        Vector<Scalar> gradients, index_t slot, Observer& observer) const;
  /// Both halves, unit by unit: gradients are final as early as can be.
  void backward(const Call<Scalar>& call, const Ends& ends, std::byte* block, Vector<Scalar> gradients, index_t slot,
                Observer& observer) const;

 private:
  // What a block holds of one unit: its output and that output's gradient (not of the last unit: the caller has them),
  // and what it saves.
  struct Place {
    Matrix<Scalar> y, dy;
    std::byte* saved;
  };
  Place cut(std::size_t u, index_t B, Cutter& cutter) const;
  Place place(std::size_t u, index_t B, std::byte* block) const;
  void backward_input(std::size_t u, const Call<Scalar>& call, const Ends& ends, std::byte* block, index_t slot,
                      Observer& observer) const;
  void backward_weights(std::size_t u, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy,
                        std::byte* block, Vector<Scalar> gradients, index_t slot, Observer& observer) const;

  Units<Scalar> units_;
  std::vector<Range> ranges_;
};

}  // namespace partita::nn
