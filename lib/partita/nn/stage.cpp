// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/stage.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {

template <class Scalar>
Stage<Scalar>::Stage(Chain<Scalar> chain, int number, bool ends_in_loss)
    : chain_(std::move(chain)), number_(number), gradient_in_place_(ends_in_loss && chain_.may_end_branch()) {}

template <class Scalar>
typename Stage<Scalar>::Layout Stage<Scalar>::layout(index_t rows) const {
  const Footprint bytes = chain_.footprint(rows);
  const std::size_t y = static_cast<std::size_t>(rows * outputs()) * sizeof(Scalar);
  Cutter piece, pending, gradient, workspace;
  Layout all{};
  piece.skip(bytes.saved);
  all.output = piece.skip(y);
  all.piece = piece.used();
  if (!gradient_in_place_) gradient.skip(y);
  all.gradient_piece = gradient.used();
  pending.skip(bytes.pending);
  all.pending_piece = pending.used();
  workspace.skip(bytes.workspace);
  all.workspace = workspace.used();
  return all;
}

template <class Scalar>
typename Stage<Scalar>::Bytes Stage<Scalar>::bytes_by_use(const StagePlan& plan) const {
  const Layout all = layout(plan.rows);
  const auto of = [&](index_t micro_batches, std::size_t piece) {
    return static_cast<std::size_t>(micro_batches * plan.pieces) * piece;
  };
  return {of(plan.slots, all.piece), of(plan.pending, all.pending_piece), of(plan.gradients, all.gradient_piece),
          all.workspace};
}

template <class Scalar>
std::size_t Stage<Scalar>::bytes(std::initializer_list<StagePlan> plans) const {
  Bytes most{};
  for (const StagePlan& plan : plans) {
    const Bytes all = bytes_by_use(plan);
    most = {std::max(most.slots, all.slots), std::max(most.pending, all.pending),
            std::max(most.gradients, all.gradients), std::max(most.workspace, all.workspace)};
  }
  return most.slots + most.pending + most.gradients + most.workspace;
}

template <class Scalar>
std::size_t Stage<Scalar>::allocated() const {
  return slots_.extent(0) + pending_.extent(0) + gradients_.extent(0) + workspace_.extent(0);
}

template <class Scalar>
void Stage<Scalar>::reserve(const StagePlan& plan) {
  if (plan.pending > 0)
    chain_.visit([&](const Unit<Scalar>& unit) {
      if (unit.recomputes())
        refuse<UsageError>(unit.name(), "its forward is done again in backward, whose halves shall run apart",
                           "halves that run together, or no recomputation");
    });
  const auto grow = [](Kokkos::View<std::byte*, Memory>& memory, const std::string& label, std::size_t bytes) {
    if (memory.extent(0) >= bytes) return;
    memory = {};  // the old one goes first
    memory = Kokkos::View<std::byte*, Memory>(Kokkos::view_alloc(Kokkos::WithoutInitializing, label), bytes);
  };
  const Bytes asked = bytes_by_use(plan);
  grow(slots_, "partita::nn::Stage::slots", asked.slots);
  grow(pending_, "partita::nn::Stage::pending", asked.pending);
  grow(gradients_, "partita::nn::Stage::gradients", asked.gradients);
  grow(workspace_, "partita::nn::Stage::workspace", asked.workspace);
  if (plan_.rows == 0) lay_out(plan);
}

template <class Scalar>
void Stage<Scalar>::plan(const StagePlan& plan) {
  slots_ = pending_ = gradients_ = workspace_ = {};
  plan_ = {};
  reserve(plan);
}

template <class Scalar>
void Stage<Scalar>::lay_out(const StagePlan& plan) {
  const Bytes asked = bytes_by_use(plan);
  if (asked.slots > slots_.extent(0) || asked.pending > pending_.extent(0) || asked.gradients > gradients_.extent(0) ||
      asked.workspace > workspace_.extent(0))
    refuse<Error>("Stage", "there is no memory for this plan", "reserve() first");
  plan_ = plan;
  chain_.plan(plan.rows);
  layout_ = layout(plan.rows);
}

template <class Scalar>
std::byte* Stage<Scalar>::slot(index_t micro_batch, index_t piece) const {
  return slots_.data() + static_cast<std::size_t>(micro_batch % plan_.slots * plan_.pieces + piece) * layout_.piece;
}

template <class Scalar>
Call<Scalar> Stage<Scalar>::place(Call<Scalar> call, index_t micro_batch, index_t piece) const {
  if (plan_.rows == 0) refuse<Error>("Stage", "memory is not planned", "plan() before a pass");
  if (piece < 0 || piece >= plan_.pieces)
    refuse<ShapeError>("Stage", fmt::format("piece {} of a micro-batch", piece),
                       fmt::format("one of {}, as planned", plan_.pieces));
  call.saved = slot(micro_batch, piece);
  call.pending = nullptr;
  if (plan_.pending > 0) {
    const index_t at = micro_batch % plan_.pending * plan_.pieces + piece;
    call.pending = pending_.data() + static_cast<std::size_t>(at) * layout_.pending_piece;
  }
  call.workspace = workspace_.data();
  call.at.stage = number_;
  call.at.micro_batch = micro_batch;
  call.piece_of_micro_batch = piece;
  return call;
}

// A stage is fed rows or, at the head of a language model, tokens.
template <class Scalar>
index_t Stage<Scalar>::rows(const Call<Scalar>& call, ConstMatrix<Scalar> x) const {
  const bool tokens = x.data() == nullptr && call.tokens.data() != nullptr;
  const std::size_t columns = tokens ? call.tokens.extent(1) : x.extent(1);
  const std::size_t stride = tokens ? call.tokens.stride(0) : x.stride(0);
  const std::size_t B = tokens ? call.tokens.extent(0) : x.extent(0);
  const std::string& first = chain_.units().front()->name();
  if (columns != static_cast<std::size_t>(inputs()))
    refuse<ShapeError>("Stage::forward", fmt::format("x has {} columns, {} takes {}", columns, first, inputs()),
                       "x (B, inputs)");
  if (B > 1 && stride != columns)
    refuse<ShapeError>("Stage::forward",
                       fmt::format("rows of x are {} elements apart, {} takes {} columns", stride, first, columns),
                       "adjacent rows");
  if (static_cast<index_t>(B) > plan_.rows)
    refuse<ShapeError>("Stage::forward", fmt::format("x has {} rows, planned are {}", B, plan_.rows),
                       "at most as many");
  return static_cast<index_t>(B);
}

template <class Scalar>
Matrix<Scalar> Stage<Scalar>::output(const Call<Scalar>& placed, index_t B) const {
  return {reinterpret_cast<Scalar*>(placed.saved + layout_.output), static_cast<std::size_t>(B),
          static_cast<std::size_t>(outputs())};
}

template <class Scalar>
Matrix<Scalar> Stage<Scalar>::output_gradient(const Call<Scalar>& placed, index_t B) const {
  return output_gradient(placed.at.micro_batch, placed.piece_of_micro_batch, B);
}

template <class Scalar>
Matrix<Scalar> Stage<Scalar>::output_gradient(index_t micro_batch, index_t piece, index_t B) const {
  const index_t at = micro_batch % plan_.gradients * plan_.pieces + piece;
  std::byte* const where = gradient_in_place_
                               ? slot(micro_batch, piece) + layout_.output
                               : gradients_.data() + static_cast<std::size_t>(at) * layout_.gradient_piece;
  return {reinterpret_cast<Scalar*>(where), static_cast<std::size_t>(B), static_cast<std::size_t>(outputs())};
}

template <class Scalar>
ConstMatrix<Scalar> Stage<Scalar>::forward(const Call<Scalar>& placed, ConstMatrix<Scalar> x) const {
  const Matrix<Scalar> y = output(placed, rows(placed, x));
  chain_.forward(placed, x, y);
  return y;
}

template <class Scalar>
void Stage<Scalar>::backward(Half half, const Call<Scalar>& placed, ConstMatrix<Scalar> x, Matrix<Scalar> dx) const {
  const index_t B = rows(placed, x);
  chain_.backward(half, placed, x, output(placed, B), output_gradient(placed, B), dx);
}

template class Stage<float>;
template class Stage<double>;
template class Stage<bfloat16>;
template class Stage<float16>;

}  // namespace partita::nn
