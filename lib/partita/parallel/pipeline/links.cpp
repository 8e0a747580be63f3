// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/links.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel {
namespace {

using nn::Action;

// Whether a list has a micro-batch's last action of a stage: nothing of it stays behind it.
bool ends(const Action& action, bool trains) {
  return action.kind == Action::Kind::backward || action.kind == Action::Kind::backward_weights ||
         (!trains && action.kind == Action::Kind::forward);
}

bool trains(const nn::Actions& actions) {
  return std::any_of(actions.begin(), actions.end(),
                     [](const Action& action) { return action.kind != Action::Kind::forward; });
}

index_t micro_batches(const nn::Division& division) { return std::ssize(division.micro_batches); }

template <class Scalar>
Vector<Scalar> elements(Matrix<Scalar> rows) {
  return {rows.data(), rows.size()};
}

constexpr int tags = 32768;  // MPI promises as many

}  // namespace

template <class Scalar>
comm::PointToPoint<Scalar>& PipelineLinks<Scalar>::Ring::message(index_t micro_batch, index_t piece) {
  return messages[static_cast<std::size_t>(micro_batch % count * pieces + piece)];
}

template <class Scalar>
Matrix<Scalar> PipelineLinks<Scalar>::Ring::rows(index_t micro_batch, index_t piece, index_t B) const {
  return {memory.data() + (micro_batch % count * pieces + piece) * piece_elements, static_cast<std::size_t>(B),
          static_cast<std::size_t>(row_elements)};
}

template <class Scalar>
PipelineLinks<Scalar>::PipelineLinks(const comm::Communicator& axis, const StagePlaces& places,
                                     const nn::Model<Scalar>& model, const nn::Actions& actions,
                                     const nn::Division& division, bool counted, ActionClock* times)
    : nn::Links<Scalar>(model),
      axis_(axis),
      places_(places),
      division_(division),
      micro_batches_(micro_batches(division)),
      times_(times) {
  const bool trains = parallel::trains(actions);
  for (const Action& action : actions) ends_.push_back(ends(action, trains));
  for (const nn::Stage<Scalar>& stage : model.stages()) {
    auto made = std::make_unique<OfStage>();
    const int s = stage.number();
    made->number = s;
    made->buffers = stage_buffers(actions, s, micro_batches_);
    const StageBuffers& n = made->buffers;
    const auto peer = [&](int neighbour) { return places_.rank_of_stage[static_cast<std::size_t>(neighbour)]; };
    if (apart(s, s - 1)) {
      made->x = ring("partita::parallel::PipelineLinks::x", peer(s - 1), n.inputs, stage.inputs(), true);
      if (trains)
        made->dx = ring("partita::parallel::PipelineLinks::dx", peer(s - 1), n.input_gradients, stage.inputs(), true);
    }
    if (apart(s, s + 1)) {
      made->y = ring("", peer(s + 1), n.slots, stage.outputs(), false);
      if (trains) made->dy = ring("", peer(s + 1), n.gradients, stage.outputs(), false);
    }
    stages_.push_back(std::move(made));
  }
  if (!counted) return;
  entries_[0] = axis.traffic_entry("forward", "direct");
  if (trains) entries_[1] = axis.traffic_entry("backward", "direct");
}

template <class Scalar>
bool PipelineLinks<Scalar>::apart(int stage, int neighbour) const {
  if (neighbour < 0 || neighbour >= places_.stages()) return false;
  return places_.rank_of_stage[static_cast<std::size_t>(neighbour)] !=
         places_.rank_of_stage[static_cast<std::size_t>(stage)];
}

template <class Scalar>
typename PipelineLinks<Scalar>::Ring PipelineLinks<Scalar>::ring(const char* label, int peer, index_t count,
                                                                 index_t columns, bool memory) const {
  Ring made;
  made.count = count;
  made.pieces = division_.most_pieces();
  made.row_elements = columns;
  made.piece_elements = division_.largest_piece() * columns;
  if (memory) made.memory = make_buffer<Scalar>(label, count * made.pieces * made.piece_elements);
  made.messages.reserve(static_cast<std::size_t>(count * made.pieces));
  for (index_t k = 0; k < count * made.pieces; ++k) made.messages.emplace_back(axis_, peer, made.piece_elements);
  return made;
}

template <class Scalar>
index_t PipelineLinks<Scalar>::bytes(const StagePlaces& places, const nn::Model<Scalar>& model,
                                     const nn::Actions& actions, const nn::Division& division) {
  index_t elements = 0;
  for (const nn::Stage<Scalar>& stage : model.stages()) {
    const auto s = static_cast<std::size_t>(stage.number());
    if (s == 0 || places.rank_of_stage[s - 1] == places.rank_of_stage[s]) continue;
    const StageBuffers n = stage_buffers(actions, stage.number(), micro_batches(division));
    elements += (n.inputs + (trains(actions) ? n.input_gradients : 0)) * division.most_pieces() *
                division.largest_piece() * stage.inputs();
  }
  return elements * static_cast<index_t>(sizeof(Scalar));
}

template <class Scalar>
index_t PipelineLinks<Scalar>::allocated() const {
  index_t bytes = 0;
  for (const auto& stage : stages_) bytes += nn::bytes_of(stage->x.memory, stage->dx.memory);
  return bytes;
}

template <class Scalar>
typename PipelineLinks<Scalar>::OfStage& PipelineLinks<Scalar>::of(int stage) {
  for (const auto& one : stages_)
    if (one->number == stage) return *one;
  refuse<Error>("PipelineLinks", fmt::format("stage {}", stage), "one that is here");
}

template <class Scalar>
index_t PipelineLinks<Scalar>::rows_of(index_t micro_batch, index_t piece) const {
  const Range pieces = division_.micro_batches[static_cast<std::size_t>(micro_batch)];
  return piece < pieces.extent ? division_.pieces[static_cast<std::size_t>(pieces.offset + piece)].extent : 0;
}

// Of what stage `stage` sends.
template <class Scalar>
index_t PipelineLinks<Scalar>::match(Way way, int stage, index_t micro_batch, index_t piece) const {
  const index_t cut = (way == Way::forward ? 0 : places_.stages()) + stage;
  return (cut * micro_batches_ + micro_batch) * division_.most_pieces() + piece;
}

// Messages of two ranks and a tag meet in order, and those of one cut and way are posted in order.
template <class Scalar>
int PipelineLinks<Scalar>::tag(Way way, int stage, index_t micro_batch) const {
  return static_cast<int>(match(way, stage, micro_batch, 0) % tags);
}

template <class Scalar>
index_t PipelineLinks<Scalar>::gradients(int stage, const nn::Peak& peak) const {
  for (const auto& one : stages_)
    if (one->number == stage && one->dy.count > 0) return one->dy.count;
  return peak.gradients;
}

template <class Scalar>
void PipelineLinks<Scalar>::begin() {
  at_ = 0;
  began_ = true;
  if (times_ != nullptr) times_->begin_step(counts_);
  for (const Way way : {Way::forward, Way::backward}) {
    comm::TrafficEntry* const count = entry(way);
    if (count == nullptr) continue;
    for (const auto& stage : stages_) {
      const Ring& out = way == Way::forward ? stage->y : stage->dx;
      if (out.count == 0) continue;
      count->expected_messages += static_cast<double>(division_.pieces.size());
      count->expected_bytes +=
          static_cast<double>(division_.rows.extent * out.row_elements * static_cast<index_t>(sizeof(Scalar)));
    }
  }
}

template <class Scalar>
void PipelineLinks<Scalar>::before(const Action&, const Exec& exec) {
  if (began_) {
    began_ = false;
    for (const auto& stage : stages_) {
      for (index_t m = 0; m < std::min(stage->x.count, micro_batches_); ++m) post_input(exec, *stage, m);
      for (index_t m = 0; m < std::min(stage->dy.count, micro_batches_); ++m) post_gradient(exec, *stage, m);
    }
  }
  if (times_ != nullptr) times_->begin_action();
}

template <class Scalar>
void PipelineLinks<Scalar>::after(const Action& action, const Exec& exec) {
  if (times_ != nullptr) {
    if constexpr (!std::is_same_v<Exec, HostExec>) {
      static const std::string label = "partita::parallel::PipelineLinks: the clock of an action";  // made once
      exec.fence(label);
    }
    times_->end_action();
  }
  if (!ends_[at_++]) return;
  OfStage& stage = of(action.stage);
  if (stage.x.count > 0 && action.micro_batch + stage.x.count < micro_batches_)
    post_input(exec, stage, action.micro_batch + stage.x.count);
  if (stage.dy.count > 0 && action.micro_batch + stage.dy.count < micro_batches_)
    post_gradient(exec, stage, action.micro_batch + stage.dy.count);
}

template <class Scalar>
void PipelineLinks<Scalar>::post_input(const Exec& exec, OfStage& stage, index_t micro_batch) {
  for (index_t piece = 0; piece < stage.x.pieces; ++piece)
    if (const index_t B = rows_of(micro_batch, piece); B > 0)
      stage.x.message(micro_batch, piece)
          .receive(exec, elements(stage.x.rows(micro_batch, piece, B)),
                   tag(Way::forward, stage.number - 1, micro_batch));
}

template <class Scalar>
void PipelineLinks<Scalar>::post_gradient(const Exec& exec, OfStage& stage, index_t micro_batch) {
  for (index_t piece = 0; piece < stage.dy.pieces; ++piece)
    if (const index_t B = rows_of(micro_batch, piece); B > 0)
      stage.dy.message(micro_batch, piece)
          .receive(exec, elements(this->model().stage(stage.number).output_gradient(micro_batch, piece, B)),
                   tag(Way::backward, stage.number + 1, micro_batch));
}

template <class Scalar>
void PipelineLinks<Scalar>::progress() {
  // One test helps on all of a process' messages.
  for (const auto& stage : stages_)
    for (Ring* ring : {&stage->x, &stage->dy, &stage->y, &stage->dx})
      for (comm::PointToPoint<Scalar>& message : ring->messages)
        if (message.pending()) {
          message.test();
          return;
        }
}

template <class Scalar>
void PipelineLinks<Scalar>::wait(comm::PointToPoint<Scalar>& message, const Exec& exec) {
  const std::int64_t start = now_ns();
  message.wait(exec);
  if (times_ != nullptr) times_->waited(now_ns() - start);
}

template <class Scalar>
void PipelineLinks<Scalar>::send(Ring& from, Way way, const nn::Call<Scalar>& placed, ConstMatrix<Scalar> values) {
  comm::PointToPoint<Scalar>& message = from.message(placed.at.micro_batch, placed.piece_of_micro_batch);
  nn::Moment moment = placed.at;
  moment.part = nn::Part::send;
  moment.peer = places_.world_rank[static_cast<std::size_t>(message.peer())];
  moment.bytes = static_cast<index_t>(values.size() * sizeof(Scalar));
  moment.match = match(way, placed.at.stage, placed.at.micro_batch, placed.piece_of_micro_batch);
  const Exec& exec = placed.context.exec();
  placed.observer.before(moment, {}, exec);
  message.send(exec, {values.data(), values.size()}, tag(way, placed.at.stage, placed.at.micro_batch), entry(way));
  placed.observer.after(moment, {}, exec);
}

template <class Scalar>
void PipelineLinks<Scalar>::arrive(Ring& in, Way way, const nn::Call<Scalar>& placed) {
  comm::PointToPoint<Scalar>& message = in.message(placed.at.micro_batch, placed.piece_of_micro_batch);
  const int from = placed.at.stage + (way == Way::forward ? -1 : 1);
  nn::Moment moment = placed.at;
  moment.part = nn::Part::receive;
  moment.peer = places_.world_rank[static_cast<std::size_t>(message.peer())];
  moment.bytes = rows_of(placed.at.micro_batch, placed.piece_of_micro_batch) * in.row_elements *
                 static_cast<index_t>(sizeof(Scalar));
  moment.match = match(way, from, placed.at.micro_batch, placed.piece_of_micro_batch);
  const Exec& exec = placed.context.exec();
  placed.observer.before(moment, {}, exec);
  wait(message, exec);
  placed.observer.after(moment, {}, exec);
}

template <class Scalar>
void PipelineLinks<Scalar>::make_room(int stage, const nn::Call<Scalar>& placed) {
  OfStage& here = of(stage);
  if (here.y.count > 0) wait(here.y.message(placed.at.micro_batch, placed.piece_of_micro_batch), placed.context.exec());
}

template <class Scalar>
ConstMatrix<Scalar> PipelineLinks<Scalar>::input(int stage, const nn::Call<Scalar>& placed, index_t B) {
  OfStage& here = of(stage);
  if (here.x.count == 0) return nn::Links<Scalar>::input(stage, placed, B);
  const index_t m = placed.at.micro_batch, piece = placed.piece_of_micro_batch;
  if (!here.x.message(m, piece).landed()) arrive(here.x, Way::forward, placed);
  return here.x.rows(m, piece, B);
}

template <class Scalar>
void PipelineLinks<Scalar>::output(int stage, const nn::Call<Scalar>& placed, ConstMatrix<Scalar> y) {
  OfStage& here = of(stage);
  if (here.y.count > 0) send(here.y, Way::forward, placed, y);
}

template <class Scalar>
void PipelineLinks<Scalar>::output_gradient(int stage, const nn::Call<Scalar>& placed, Matrix<Scalar>) {
  OfStage& here = of(stage);
  if (here.dy.count > 0) arrive(here.dy, Way::backward, placed);
}

template <class Scalar>
Matrix<Scalar> PipelineLinks<Scalar>::input_gradient_buffer(int stage, const nn::Call<Scalar>& placed, index_t B) {
  OfStage& here = of(stage);
  if (here.dx.count == 0) return nn::Links<Scalar>::input_gradient_buffer(stage, placed, B);
  const index_t m = placed.at.micro_batch, piece = placed.piece_of_micro_batch;
  wait(here.dx.message(m, piece), placed.context.exec());
  return here.dx.rows(m, piece, B);
}

template <class Scalar>
void PipelineLinks<Scalar>::input_gradient(int stage, const nn::Call<Scalar>& placed, ConstMatrix<Scalar> dx) {
  OfStage& here = of(stage);
  if (here.dx.count > 0) send(here.dx, Way::backward, placed, dx);
}

template class PipelineLinks<float>;
template class PipelineLinks<double>;
template class PipelineLinks<bfloat16>;
template class PipelineLinks<float16>;

}  // namespace partita::parallel
