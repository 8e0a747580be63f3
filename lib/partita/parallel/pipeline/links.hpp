// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/point_to_point.hpp>
#include <partita/nn/division.hpp>
#include <partita/nn/links.hpp>
#include <partita/parallel/pipeline/action_clock.hpp>
#include <partita/parallel/pipeline/stage_buffers.hpp>

namespace partita::parallel {

/// Which rank of an axis has a stage, and what the ranks of the axis are called in the world.
struct StagePlaces {
  std::vector<int> rank_of_stage;
  std::vector<int> world_rank;

  int stages() const { return static_cast<int>(rank_of_stage.size()); }
};

/// Stages of a model on several ranks: outputs go forward and their gradients back, a message for each piece and cut.
///
///     stage s   y (slot) --send--> x (a buffer)   stage s + 1
///               dy (a buffer) <--send-- dx (a buffer)
///
/// Sends leave from where the values lie and do not block; a buffer is waited for when it is used again. Receives are
/// posted as soon as their buffer is free, one micro-batch more than is in use: stage_buffers. Tags are made of stage,
/// direction and micro-batch. Stages on one rank read and write each other's slots.
///
/// Memory   bytes(): the buffers of x and dx; dy lies in the stage's own.
/// Traffic  "forward" and "backward" on the axis, "direct": rows x columns of each cut towards another rank, a message
///          for each piece.
template <class Scalar>
class PipelineLinks final : public nn::Links<Scalar> {
 public:
  /// For these actions of this rank. `times`, if any, hears how long the rank waited in them; counted: in the traffic.
  /// All that is referred to must outlive this. Not collective, but in order.
  PipelineLinks(const comm::Communicator& axis, const StagePlaces& places, const nn::Model<Scalar>& model,
                const nn::Actions& actions, const nn::Division& division, bool counted, ActionClock* times);

  /// Whether the steps that begin from here on count in `times`.
  void time_steps(bool counts) { counts_ = counts; }

  index_t gradients(int stage, const nn::Peak& peak) const override;
  void begin() override;
  void before(const nn::Action& action, const Exec& exec) override;
  void after(const nn::Action& action, const Exec& exec) override;
  void progress() override;
  void make_room(int stage, const nn::Call<Scalar>& placed) override;
  ConstMatrix<Scalar> input(int stage, const nn::Call<Scalar>& placed, index_t B) override;
  void output(int stage, const nn::Call<Scalar>& placed, ConstMatrix<Scalar> y) override;
  void output_gradient(int stage, const nn::Call<Scalar>& placed, Matrix<Scalar> dy) override;
  Matrix<Scalar> input_gradient_buffer(int stage, const nn::Call<Scalar>& placed, index_t B) override;
  void input_gradient(int stage, const nn::Call<Scalar>& placed, ConstMatrix<Scalar> dx) override;

  /// Of its buffers, and the same in advance.
  index_t allocated() const;
  static index_t bytes(const StagePlaces& places, const nn::Model<Scalar>& model, const nn::Actions& actions,
                       const nn::Division& division);

 private:
  enum class Way { forward, backward };

  // Places of the messages of one cut and way, and their memory where it is not a stage's: `count` micro-batches of so
  // many pieces, in turn.
  struct Ring {
    index_t count = 0, pieces = 0;
    Vector<Scalar> memory;
    index_t row_elements = 0, piece_elements = 0;
    std::vector<comm::PointToPoint<Scalar>> messages;

    comm::PointToPoint<Scalar>& message(index_t micro_batch, index_t piece);
    Matrix<Scalar> rows(index_t micro_batch, index_t piece, index_t B) const;
  };
  // What a stage of this rank exchanges with other ranks.
  struct OfStage {
    int number = 0;
    StageBuffers buffers;
    Ring x, y, dy, dx;  // without messages where the neighbour is on this rank, or there is none
  };

  OfStage& of(int stage);
  Ring ring(const char* label, int peer, index_t count, index_t columns, bool memory) const;
  bool apart(int stage, int neighbour) const;
  index_t rows_of(index_t micro_batch, index_t piece) const;
  int tag(Way way, int stage, index_t micro_batch) const;
  index_t match(Way way, int stage, index_t micro_batch, index_t piece) const;
  void post_input(const Exec& exec, OfStage& of, index_t micro_batch);
  void post_gradient(const Exec& exec, OfStage& of, index_t micro_batch);
  void send(Ring& from, Way way, const nn::Call<Scalar>& placed, ConstMatrix<Scalar> values);
  void arrive(Ring& in, Way way, const nn::Call<Scalar>& placed);
  void wait(comm::PointToPoint<Scalar>& message, const Exec& exec);
  comm::TrafficEntry* entry(Way way) const { return entries_[way == Way::forward ? 0 : 1]; }

  const comm::Communicator& axis_;
  StagePlaces places_;
  nn::Division division_;
  index_t micro_batches_;
  std::vector<bool> ends_;  // of the actions: whether they are the last of their stage and micro-batch
  std::size_t at_ = 0;
  std::vector<std::unique_ptr<OfStage>> stages_;
  comm::TrafficEntry* entries_[2] = {nullptr, nullptr};
  ActionClock* times_;
  bool began_ = false, counts_ = false;
};

}  // namespace partita::parallel
