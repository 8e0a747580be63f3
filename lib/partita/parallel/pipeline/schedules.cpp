// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/schedules.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

namespace partita::parallel {
namespace {

using nn::Action;
using nn::Actions;
using Kind = Action::Kind;

void check(Schedule schedule, const PipelineShape& shape) {
  const auto at_least_one = [](const char* what, index_t n) {
    if (n < 1) refuse<UsageError>("schedule", fmt::format("{} {}", n, what), "at least 1");
  };
  at_least_one("ranks", shape.ranks);
  at_least_one("stages of a rank", shape.stages_of_a_rank);
  at_least_one("micro-batches", shape.micro_batches);
  const int expected = schedule == Schedule::zb_v ? 2 : 1;
  if (schedule != Schedule::interleaved && shape.stages_of_a_rank != expected)
    refuse<UsageError>("schedule",
                       fmt::format("{} stages of a rank for {}", shape.stages_of_a_rank, name_of(schedules, schedule)),
                       fmt::format("{}", expected));
}

// The passes of one rank, taken down in order: each stage's micro-batches come in ascending order.
class Writer {
 public:
  explicit Writer(index_t micro_batches) : micro_batches_(micro_batches) {}

  void forward(int stage) { add(Kind::forward, stage, forwards_); }
  void backward(int stage) { add(Kind::backward, stage, backwards_); }
  void backward_input(int stage) { add(Kind::backward_input, stage, backwards_); }
  void backward_weights(int stage) { add(Kind::backward_weights, stage, weights_); }
  // Backward-weights of whatever has only its backward-input.
  void rest_of_weights(int stage) {
    while (weights_[place(stage)] < backwards_[place(stage)]) backward_weights(stage);
  }
  index_t forwards(int stage) { return forwards_[place(stage)]; }
  Actions actions;

 private:
  using Counts = std::vector<index_t>;
  std::size_t place(int stage) {
    const auto at = static_cast<std::size_t>(stage);
    for (Counts* counts : {&forwards_, &backwards_, &weights_}) counts->resize(std::max(counts->size(), at + 1));
    return at;
  }
  // A micro-batch that the step has not leaves its place empty.
  void add(Kind kind, int stage, Counts& counts) {
    const std::size_t at = place(stage);
    const index_t micro_batch = counts[at]++;
    if (micro_batch < micro_batches_) actions.push_back({kind, stage, micro_batch});
  }

  index_t micro_batches_;
  Counts forwards_, backwards_, weights_;  // of each stage
};

Actions gpipe(const PipelineShape& shape, int rank) {
  Writer to(shape.micro_batches);
  for (index_t m = 0; m < shape.micro_batches; ++m) to.forward(rank);
  for (index_t m = 0; m < shape.micro_batches; ++m) to.backward(rank);
  return to.actions;
}

Actions one_f_one_b(const PipelineShape& shape, int rank) {
  Writer to(shape.micro_batches);
  const index_t ahead = std::min<index_t>(shape.ranks - 1 - rank, shape.micro_batches);
  for (index_t m = 0; m < ahead; ++m) to.forward(rank);
  for (index_t m = 0; m < shape.micro_batches - ahead; ++m) {
    to.forward(rank);
    to.backward(rank);
  }
  for (index_t m = 0; m < ahead; ++m) to.backward(rank);
  return to.actions;
}

Actions zb_h1(const PipelineShape& shape, int rank) {
  Writer to(shape.micro_batches);
  const index_t ahead = std::min<index_t>(shape.ranks - 1 - rank, shape.micro_batches);
  for (index_t m = 0; m < ahead; ++m) to.forward(rank);
  for (index_t m = 0; m < shape.micro_batches; ++m) {
    if (m < shape.micro_batches - ahead) to.forward(rank);
    to.backward_input(rank);
    if (m >= rank) to.backward_weights(rank);
  }
  to.rest_of_weights(rank);
  return to.actions;
}

// A rank's chunks over all micro-batches, in rounds: which chunk the passes of a direction belong to.
std::vector<int> chunks_in_rounds(const PipelineShape& shape) {
  const index_t m = shape.micro_batches, rounds = std::max<index_t>(1, m / shape.ranks);
  std::vector<int> chunks;
  for (index_t round = 0; round < rounds; ++round)
    for (int chunk = 0; chunk < shape.stages_of_a_rank; ++chunk)
      chunks.insert(chunks.end(), static_cast<std::size_t>(partition(m, rounds, round).extent), chunk);
  return chunks;
}

Actions interleaved(const PipelineShape& shape, int rank) {
  Writer to(shape.micro_batches);
  const std::vector<int> chunks = chunks_in_rounds(shape);
  const index_t passes = std::ssize(chunks), rounds = std::max<index_t>(1, shape.micro_batches / shape.ranks);
  const index_t round = partition(shape.micro_batches, rounds, 0).extent;
  const int last = shape.stages_of_a_rank - 1;
  const index_t ahead = std::min<index_t>(last * round + 2 * (shape.ranks - 1 - rank), passes);
  const auto forward = [&](index_t k) { to.forward(chunks[static_cast<std::size_t>(k)] * shape.ranks + rank); };
  const auto backward = [&](index_t k) {
    to.backward((last - chunks[static_cast<std::size_t>(k)]) * shape.ranks + rank);
  };
  for (index_t k = 0; k < ahead; ++k) forward(k);
  for (index_t k = ahead; k < passes; ++k) {
    forward(k);
    backward(k - ahead);
  }
  for (index_t k = passes - ahead; k < passes; ++k) backward(k);
  return to.actions;
}

// Written for at least 2p-1 micro-batches, which fill the pipeline; of fewer the others' places stay empty.
Actions zb_v(const PipelineShape& shape, int rank) {
  Writer to(shape.micro_batches);
  const int p = shape.ranks, down = rank, up = 2 * p - 1 - rank;
  const index_t m = std::max<index_t>(2 * p - 1, shape.micro_batches);
  const auto backward = [&](int stage) {
    to.backward_input(stage);
    to.backward_weights(stage);
  };
  for (int k = 0; k < 2 * (p - rank) - 1; ++k) to.forward(down);
  for (int k = 0; k < rank; ++k) {
    to.forward(up);
    to.forward(down);
  }
  for (int k = 0; k < p - rank; ++k) {
    to.forward(up);
    backward(up);
  }
  while (to.forwards(up) < m) {
    if (to.forwards(down) < m) to.forward(down);
    backward(down);
    to.forward(up);
    backward(up);
  }
  for (int k = 0; k < rank; ++k) {
    to.backward_input(down);
    to.backward_input(up);
  }
  for (int k = 0; k < p - rank; ++k) backward(down);
  to.rest_of_weights(up);
  to.rest_of_weights(down);
  return to.actions;
}

}  // namespace

int rank_of_stage(Schedule schedule, const PipelineShape& shape, int stage) {
  if (schedule == Schedule::zb_v && stage >= shape.ranks) return 2 * shape.ranks - 1 - stage;
  return stage % shape.ranks;
}

nn::Actions schedule_of_rank(Schedule schedule, const PipelineShape& shape, int rank) {
  check(schedule, shape);
  switch (schedule) {
    case Schedule::gpipe:
      return gpipe(shape, rank);
    case Schedule::one_f_one_b:
      return one_f_one_b(shape, rank);
    case Schedule::interleaved:
      return interleaved(shape, rank);
    case Schedule::zb_h1:
      return zb_h1(shape, rank);
    default:
      return zb_v(shape, rank);
  }
}

std::vector<nn::Actions> make_schedule(Schedule schedule, const PipelineShape& shape) {
  std::vector<nn::Actions> all;
  for (int rank = 0; rank < shape.ranks; ++rank) all.push_back(schedule_of_rank(schedule, shape, rank));
  return all;
}

}  // namespace partita::parallel
