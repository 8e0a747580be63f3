// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/gradient_pass.hpp>

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {
namespace {

// Tells an exchange what is read and what is complete, says where gradients go and adds them up: before the step's
// observer hears of a moment's work, so that it hears of the unit's alone.
template <class Real>
class Folding final : public Observer {
 public:
  Folding(Observer& outer, GradientSum<Real>* sum, Progress& progress, std::function<void()> messages)
      : outer_(outer), sum_(sum), progress_(progress), messages_(std::move(messages)) {}

  void before(const Moment& moment, std::span<const Range> reads, const Exec& exec) override {
    if (reads_weights(moment)) progress_.reading(exec, moment, reads, outer_);
    if (moment.part == Part::backward_weights) destination_ = sum_->destination(exec, moment.piece, moment.unit);
    outer_.before(moment, reads, exec);
  }
  void after(const Moment& moment, std::span<const Range> wrote, const Exec& exec) override {
    for (const Range& range : wrote) fold(exec, moment.piece, range);
    outer_.after(moment, wrote, exec);
    if (reads_weights(moment)) progress_.read(exec, moment);
    progress_.progress();
    if (messages_) messages_();
  }
  void fold(const Exec& exec, index_t piece, Range range) {
    if (sum_->fold(exec, piece, range)) progress_.ready(exec, range);
  }
  const Destination<Real>* destination() const { return &destination_; }

 private:
  static bool reads_weights(const Moment& moment) {
    return moment.unit >= 0 && (moment.part == Part::forward || moment.part == Part::backward_input);
  }

  Observer& outer_;
  GradientSum<Real>* sum_;
  Progress& progress_;
  std::function<void()> messages_;  // between stages
  Destination<Real> destination_;   // of the unit whose backward_weights is under way
};

// What an observer hears of a whole action.
Part part_of(Action::Kind kind) {
  switch (kind) {
    case Action::Kind::forward:
      return Part::forward;
    case Action::Kind::backward:
      return Part::backward;
    case Action::Kind::backward_input:
      return Part::backward_input;
    default:
      return Part::backward_weights;
  }
}

template <class T>
Vector<T> part(const Vector<T>& of, index_t first, index_t extent) {
  return {of.data() + first, static_cast<std::size_t>(extent)};
}

template <class T>
Matrix<T> rows_of(const Matrix<T>& of, index_t first, index_t extent) {
  if (of.data() == nullptr) return {};
  return {of.data() + first * static_cast<index_t>(of.extent(1)), static_cast<std::size_t>(extent), of.extent(1)};
}

}  // namespace

template <class Scalar>
GradientPass<Scalar>::GradientPass(Model<Scalar>& model, Division division, Actions actions,
                                   const LossHead<Scalar>& head, GradientSum<Sum<Scalar>>* sum, Links<Scalar>* links)
    : model_(model),
      division_(std::move(division)),
      actions_(std::move(actions)),
      head_(head),
      sum_(sum),
      links_(links) {
  if (links_ == nullptr && model_.stage_count() > 1)
    refuse<UsageError>("GradientPass", fmt::format("{} stages without links", model_.stage_count()),
                       "links between them");
  for (Stage<Scalar>& stage : model_.stages()) {
    const Peak most = peak(actions_, stage.number());
    const bool last = stage.number() + 1 == model_.stage_count();
    const index_t gradients = sum_ == nullptr ? 1 : last ? most.slots : links_->gradients(stage.number(), most);
    plans_.push_back({division_.largest_piece(), division_.most_pieces(), most.slots, most.pending,
                      std::max<index_t>(gradients, 1)});
    stage.reserve(plans_.back());
  }
}

// What one run shares between its actions.
template <class Scalar>
struct GradientPass<Scalar>::Run {
  const Call<Scalar>& call;
  const Batch<Scalar>& batch;
  const PassResult& result;
  Kokkos::View<const double, Memory> factor;
  Folding<Sum<Scalar>>& folding;
};

template <class Scalar>
struct GradientPass<Scalar>::Piece {
  Stage<Scalar>& stage;
  Call<Scalar> call;
  ConstMatrix<Scalar> x;
  index_t B;
  bool first, last;
};

template <class Scalar>
typename GradientPass<Scalar>::Piece GradientPass<Scalar>::piece(const Run& run, const Action& action,
                                                                 index_t index) const {
  Stage<Scalar>& stage = model_.stage(action.stage);
  const Slice& rows = division_.pieces[static_cast<std::size_t>(index)];
  const index_t offset = rows.offset - division_.rows.offset;
  const Range pieces = division_.micro_batches[static_cast<std::size_t>(action.micro_batch)];
  const bool first = action.stage == 0;
  Call<Scalar> call = run.call;
  call.at.piece = index;
  call.rows = rows;
  if (first) call.tokens = rows_of(run.batch.tokens, offset, rows.extent);
  const Call<Scalar> placed = stage.place(call, action.micro_batch, index - pieces.offset);
  const bool last = action.stage + 1 == model_.stage_count();
  if (action.kind == Action::Kind::forward && !last) links_->make_room(action.stage, placed);
  const ConstMatrix<Scalar> x =
      first ? rows_of(run.batch.x, offset, rows.extent) : links_->input(action.stage, placed, rows.extent);
  return {stage, placed, x, rows.extent, first, last};
}

template <class Scalar>
void GradientPass<Scalar>::forward(const Run& run, const Action& action, index_t index) const {
  const Piece at = piece(run, action, index);
  const ConstMatrix<Scalar> y = at.stage.forward(at.call, at.x);
  if (!at.last) return links_->output(action.stage, at.call, y);

  kernels::Context& context = run.call.context;
  const OutputShape output = head_.output();
  const index_t first_row = division_.pieces[static_cast<std::size_t>(index)].offset - division_.rows.offset;
  const auto label = part(run.batch.label, first_row * output.labels, at.B * output.labels);
  const Kokkos::View<double, Memory> loss(run.result.losses.data() + index);
  Moment moment = at.call.at;
  moment.part = Part::loss;
  run.call.observer.before(moment, {}, context.exec());
  if (sum_ == nullptr) {
    head_.evaluate(context, y, label, loss, Kokkos::View<index_t, Memory>(run.result.correct.data() + index));
  } else {
    const index_t counted = run.batch.counted > 0 ? run.batch.counted : division_.batch() * output.labels;
    head_.run(context, y, label, 1 / static_cast<double>(counted), run.factor, at.stage.output_gradient(at.call, at.B),
              loss);
  }
  run.call.observer.after(moment, {}, context.exec());
}

template <class Scalar>
void GradientPass<Scalar>::backward(const Run& run, const Action& action, index_t index) const {
  using Kind = Action::Kind;
  Piece at = piece(run, action, index);
  const Half half = action.kind == Kind::backward         ? Half::both
                    : action.kind == Kind::backward_input ? Half::input
                                                          : Half::weights;
  if (half == Half::both) at.call.pending = nullptr;
  Matrix<Scalar> dx;
  if (half != Half::weights) {
    if (!at.last) links_->output_gradient(action.stage, at.call, at.stage.output_gradient(at.call, at.B));
    if (!at.first) dx = links_->input_gradient_buffer(action.stage, at.call, at.B);
  }
  at.call.gradients = run.folding.destination();
  at.call.statistics = sum_->statistics(index);
  at.stage.backward(half, at.call, at.x, dx);
  if (half != Half::weights && !at.first) links_->input_gradient(action.stage, at.call, dx);
  const Range own = model_.statistics_of(action.stage);
  if (half != Half::input && own.extent > 0)
    run.folding.fold(run.call.context.exec(), index, {model_.table().size() + own.offset, own.extent});
}

template <class Scalar>
void GradientPass<Scalar>::check(const Batch<Scalar>& batch, const PassResult& result) const {
  const auto rows = static_cast<std::size_t>(division_.rows.extent);
  const bool tokens = model_.reads_tokens(), first = model_.has_first_stage(), last = model_.has_last_stage();
  const std::size_t given = tokens ? batch.tokens.extent(0) : batch.x.extent(0);
  if (first && given != rows)
    refuse<ShapeError>(
        "GradientPass",
        fmt::format("{} has {} rows, this rank's share of the batch {}", tokens ? "tokens" : "x", given, rows),
        "the same");
  if (last && batch.label.extent(0) != rows * static_cast<std::size_t>(head_.output().labels))
    refuse<ShapeError>("GradientPass", fmt::format("label has {} elements, x {} rows", batch.label.extent(0), rows),
                       fmt::format("{} for each row", head_.output().labels));
  if (first && rows > 1 &&
      (tokens ? batch.tokens.stride(0) != batch.tokens.extent(1) : batch.x.stride(0) != batch.x.extent(1)))
    refuse<ShapeError>("GradientPass", "the rows of x are padded", "adjacent rows");
  if (last && (result.losses.extent(0) != division_.pieces.size() ||
               (sum_ == nullptr && result.correct.extent(0) != division_.pieces.size())))
    refuse<ShapeError>(
        "GradientPass",
        fmt::format("the result has {} terms, this rank {} pieces", result.losses.extent(0), division_.pieces.size()),
        "one for each");
}

template <class Scalar>
void GradientPass<Scalar>::run(const Call<Scalar>& call, const Batch<Scalar>& batch, Progress& progress,
                               const PassResult& result, Kokkos::View<const double, Memory> factor) const {
  check(batch, result);
  std::vector<StagePlan> others;  // where this pass is a guest
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    Stage<Scalar>& stage = model_.stages()[s];
    if (stage.planned() == plans_[s] && others.empty()) continue;
    if (others.empty())
      for (const Stage<Scalar>& each : model_.stages()) others.push_back(each.planned());
    stage.lay_out(plans_[s]);
  }
  run_actions(call, batch, progress, result, factor);
  for (std::size_t s = 0; s < others.size(); ++s) model_.stages()[s].lay_out(others[s]);
}

template <class Scalar>
void GradientPass<Scalar>::run_actions(const Call<Scalar>& call, const Batch<Scalar>& batch, Progress& progress,
                                       const PassResult& result, Kokkos::View<const double, Memory> factor) const {
  const bool parts = model_.stage_count() > 1;
  std::function<void()> messages;
  if (parts) messages = [this] { links_->progress(); };
  Folding<Sum<Scalar>> folding(call.observer, sum_, progress, std::move(messages));
  const Call<Scalar> watched{.context = call.context,
                             .weights = call.weights,
                             .running = call.running,
                             .observer = folding,
                             .past = call.past,
                             .training = call.training,
                             .replay = call.replay,
                             .seed = call.seed,
                             .step = call.step};
  const Run shared{watched, batch, result, factor, folding};
  const auto run_action = [&](const Action& action) {
    const Range pieces = division_.micro_batches[static_cast<std::size_t>(action.micro_batch)];
    for (index_t p = pieces.offset; p < pieces.end(); ++p)
      action.kind == Action::Kind::forward ? forward(shared, action, p) : backward(shared, action, p);
  };
  if (!parts) {
    for (const Action& action : actions_) run_action(action);
    return;
  }
  const Exec& exec = call.context.exec();
  links_->begin();
  for (const Action& action : actions_) {
    const Moment moment{.part = part_of(action.kind), .stage = action.stage, .micro_batch = action.micro_batch};
    links_->before(action, exec);
    call.observer.before(moment, {}, exec);
    run_action(action);
    call.observer.after(moment, {}, exec);
    links_->after(action, exec);
  }
}

template class GradientPass<float>;
template class GradientPass<double>;
template class GradientPass<bfloat16>;
template class GradientPass<float16>;

}  // namespace partita::nn
