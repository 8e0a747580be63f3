// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <partita/nn/call.hpp>
#include <partita/nn/memory.hpp>
#include <partita/nn/parameter_table.hpp>

namespace partita::nn {

/// Useful floating-point operations of the passes, as kernels/cost counts them; beside these, and not useful: those of
/// forward that backward does again.
struct PassFlop {
  double forward = 0, backward_input = 0, backward_weights = 0, again = 0;

  double total() const { return forward + backward_input + backward_weights; }
  PassFlop& operator+=(const PassFlop& other) {
    forward += other.forward;
    backward_input += other.backward_input;
    backward_weights += other.backward_weights;
    again += other.again;
    return *this;
  }
};

/// Bytes of a unit for so many rows: what it keeps from forward to backward, what a split backward keeps from one half
/// to the other, and what it needs during a call.
struct Footprint {
  std::size_t saved = 0, pending = 0, workspace = 0;
};

/// What Unit::restore does: operations, and whether it writes y.
struct Restoring {
  double flop = 0;
  bool writes_y = false;
};

/// Which half of backward: both together, or one now and the other any time later.
enum class Half { both, input, weights };

/// One differentiable step of a model, y = f(x; w), on B rows. It holds ranges of the flat buffers, never the buffers,
/// and knows no rank: what it computes on is told at each call.
///
/// Shapes   x, dx (B, inputs())   y, dy (B, outputs()), rows adjacent; B may differ from call to call.
/// Runs     enqueued on call.context.exec(); no fence, no allocation.
template <class Scalar>
class Unit {
 public:
  virtual ~Unit() = default;
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  /// Key of its random numbers, and of its tensors' names.
  const std::string& name() const { return name_; }
  index_t inputs() const { return inputs_; }
  index_t outputs() const { return outputs_; }
  /// What its time counts as ("attention", "feed-forward"); set by the builder.
  const std::string& tag() const { return tag_; }
  void set_tag(const std::string& tag) { tag_ = tag; }
  /// Its place among all units of the model, composites after their parts; what a Moment says.
  index_t number() const { return number_; }
  void set_number(index_t number) { number_ = number; }

  /// Ranges of the flat weights that it reads, in forward and backward_input alone; backward_weights stores a gradient
  /// of each.
  std::span<const Range> reads() const { return reads_; }
  /// Ranges of the flat gradients that are complete after its backward_weights: its own tensors, not those of others.
  std::span<const Range> ranges() const { return ranges_; }
  virtual PassFlop flop(index_t B) const = 0;
  /// Of calls without dx: a composite's parts have gradients between them all the same.
  virtual PassFlop flop_without_dx(index_t B) const {
    PassFlop all = flop(B);
    all.backward_input = 0;
    return all;
  }
  virtual Footprint footprint(index_t /*B*/) const { return {}; }
  /// Whether its input is call.tokens: what a model that reads tokens begins with.
  virtual bool reads_tokens() const { return false; }
  /// Whether its time is that of messages: such a unit keeps its own tag.
  virtual bool communicates() const { return false; }
  /// Most moments that the observer hears of for a piece, forward and backward.
  virtual index_t moments() const { return 3; }
  /// Whether backward_input leaves dy as it was and reads no y: what a residual asks of the last unit of a branch.
  virtual bool may_end_branch() const { return true; }
  /// Whether backward reads x: if not, the output of the unit before need not stay for its sake.
  virtual bool reads_x() const { return true; }
  /// Whether backward does forward again, for what forward did not keep: its halves then run together.
  virtual bool recomputes() const { return false; }
  virtual Restoring restoring(index_t B) const {
    return footprint(B).saved > 0 ? Restoring{flop(B).forward, true} : Restoring{};
  }
  /// Calls f for the parts of a composite, then for the unit itself.
  virtual void visit(const std::function<void(Unit&)>& f) { f(*this); }
  /// Lays out the memory of calls with up to B rows.
  virtual void plan(index_t /*B*/) {}

  /// y = f(x; weights), overwritten.
  virtual void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;

  /// What forward saved, once more, from the same x, in a replay whose y nobody reads: nothing for a unit that saves
  /// nothing, so that a sum over ranks at the end of a branch is not done again. y: scratch (B, outputs), or anything
  /// where restoring() says that it is not written.
  virtual void restore(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;

  /// input: dx = dloss/dx from dy = dloss/dy, overwritten; an empty dx is left out; dy may become what the other half
  /// reads. weights: gradients of reads(), stored as the call says. After forward (input) and after input (weights) of
  /// the same rows.
  virtual void backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                        Matrix<Scalar> dy, Matrix<Scalar> dx) const;

  /// The same without a word to the observer: for a unit that is made of this one and tells of both. Leaves alone.
  void forward_untold(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const { compute(call, x, y); }
  void backward_untold(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                       Matrix<Scalar> dy, Matrix<Scalar> dx) const {
    if (half != Half::weights) backward_input(call, x, y, dy, dx);
    if (half != Half::input) backward_weights(call, x, dy);
  }
  void backward_weights_untold(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const {
    backward_weights(call, x, dy);
  }

 protected:
  Unit(std::string name, index_t inputs, index_t outputs)
      : name_(std::move(name)), tag_(name_), inputs_(inputs), outputs_(outputs) {}

  /// For a unit whose part says them.
  void set_extents(index_t inputs, index_t outputs) {
    inputs_ = inputs;
    outputs_ = outputs;
  }
  /// A tensor of its own, declared in the table.
  Range own(Range range) {
    ranges_.push_back(range);
    return reads(range);
  }
  /// A tensor that another unit owns.
  Range reads(Range range) {
    reads_.push_back(range);
    return range;
  }

  // What a leaf computes; forward and backward tell the observer of it. A composite overrides those instead.
  virtual void compute(const Call<Scalar>&, ConstMatrix<Scalar> /*x*/, Matrix<Scalar> /*y*/) const {}
  virtual void backward_input(const Call<Scalar>&, ConstMatrix<Scalar> /*x*/, ConstMatrix<Scalar> /*y*/,
                              Matrix<Scalar> /*dy*/, Matrix<Scalar> /*dx*/) const {}
  virtual void backward_weights(const Call<Scalar>&, ConstMatrix<Scalar> /*x*/, ConstMatrix<Scalar> /*dy*/) const {}

  /// Runs `work` between the observer's before and after; what of a forward or backward_input reads no weights says so.
  template <class Work>
  void observed(const Call<Scalar>& call, Part part, const Work& work) const {
    observed(call, part, part == Part::backward_weights ? std::span<const Range>() : reads_, work);
  }
  template <class Work>
  void observed(const Call<Scalar>& call, Part part, std::span<const Range> reads, const Work& work) const {
    Moment moment = call.at;
    moment.part = part;
    moment.unit = number_;
    moment.replay = call.replay;
    call.observer.before(moment, reads, call.context.exec());
    work();
    call.observer.after(moment, part == Part::backward_weights ? ranges_ : std::span<const Range>(),
                        call.context.exec());
  }

 private:
  std::string name_, tag_;
  index_t inputs_, outputs_, number_ = -1;
  std::vector<Range> ranges_, reads_;
};

template <class Scalar>
using Units = std::vector<std::unique_ptr<Unit<Scalar>>>;

/// The rows of x (B, R columns) as a matrix of B R rows: tokens or pixels of all samples.
template <class Scalar>
Matrix<Scalar> split_rows(Matrix<Scalar> x, index_t columns) {
  return {x.data(), columns == 0 ? 0 : x.size() / static_cast<std::size_t>(columns), static_cast<std::size_t>(columns)};
}

/// All elements of adjacent rows.
template <class Scalar>
Vector<Scalar> flat(Matrix<Scalar> x) {
  return {x.data(), x.size()};
}

}  // namespace partita::nn
