// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/nn/chain.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Chain<Scalar>::Chain(Units<Scalar> units) : units_(std::move(units)) {
  for (std::size_t u = 1; u < units_.size(); ++u)
    if (units_[u]->inputs() != units_[u - 1]->outputs())
      throw ShapeError(fmt::format("Model: {} takes {} columns, {} before it gives {}", units_[u]->name(),
                                   units_[u]->inputs(), units_[u - 1]->name(), units_[u - 1]->outputs()));
  for (const auto& unit : units_) ranges_.insert(ranges_.end(), unit->ranges().begin(), unit->ranges().end());
}

template <class Scalar>
double Chain<Scalar>::forward_flop(index_t B) const {
  double flop = 0;
  for (const auto& unit : units_) flop += unit->forward_flop(B);
  return flop;
}

template <class Scalar>
double Chain<Scalar>::backward_input_flop(index_t B, bool input_gradient) const {
  double flop = 0;
  for (std::size_t u = input_gradient ? 0 : 1; u < units_.size(); ++u) flop += units_[u]->backward_input_flop(B);
  return flop;
}

template <class Scalar>
double Chain<Scalar>::backward_weights_flop(index_t B) const {
  double flop = 0;
  for (const auto& unit : units_) flop += unit->backward_weights_flop(B);
  return flop;
}

template <class Scalar>
double Chain<Scalar>::backward_flop(index_t B, bool input_gradient) const {
  return backward_input_flop(B, input_gradient) + backward_weights_flop(B);
}

template <class Scalar>
typename Chain<Scalar>::Place Chain<Scalar>::cut(std::size_t u, index_t B, Cutter& cutter) const {
  Place place;
  place.saved = cutter.take(units_[u]->saved_bytes(B));
  if (u + 1 == units_.size()) return place;
  place.y = cutter.matrix<Scalar>(B, units_[u]->outputs());
  place.dy = cutter.matrix<Scalar>(B, units_[u]->outputs());
  return place;
}

template <class Scalar>
typename Chain<Scalar>::Place Chain<Scalar>::place(std::size_t u, index_t B, std::byte* block) const {
  Cutter cutter(block);
  for (std::size_t before = 0; before < u; ++before) cut(before, B, cutter);
  return cut(u, B, cutter);
}

template <class Scalar>
std::size_t Chain<Scalar>::bytes(index_t B) const {
  Cutter cutter;
  for (std::size_t u = 0; u < units_.size(); ++u) cut(u, B, cutter);
  return cutter.used();
}

template <class Scalar>
void Chain<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* block,
                            index_t slot, Observer& observer) const {
  const auto B = static_cast<index_t>(y.extent(0));
  const Exec& exec = call.context.exec();
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const Place at = place(u, B, block);
    const Matrix<Scalar> to = u + 1 < units_.size() ? at.y : y;
    observer.before(static_cast<index_t>(u), Pass::forward, slot, exec);
    units_[u]->forward(call, x, to, at.saved);
    observer.after(static_cast<index_t>(u), Pass::forward, slot, {}, exec);
    x = to;
  }
}

// One half of one unit, with the places on both of its sides.
template <class Scalar>
void Chain<Scalar>::backward_input(std::size_t u, const Call<Scalar>& call, const Ends& ends, std::byte* block,
                                   index_t slot, Observer& observer) const {
  const auto B = static_cast<index_t>(ends.dy.extent(0));
  const Exec& exec = call.context.exec();
  const Place at = place(u, B, block);
  const Place before = u > 0 ? place(u - 1, B, block) : Place{{}, ends.dx, nullptr};
  const bool last = u + 1 == units_.size();
  observer.before(static_cast<index_t>(u), Pass::backward_input, slot, exec);
  units_[u]->backward_input(call, u > 0 ? ConstMatrix<Scalar>(before.y) : ends.x,
                            last ? ends.y : ConstMatrix<Scalar>(at.y), at.saved, last ? ends.dy : at.dy, before.dy);
  observer.after(static_cast<index_t>(u), Pass::backward_input, slot, {}, exec);
}

template <class Scalar>
void Chain<Scalar>::backward_weights(std::size_t u, const Call<Scalar>& call, ConstMatrix<Scalar> x,
                                     ConstMatrix<Scalar> dy, std::byte* block, Vector<Scalar> gradients, index_t slot,
                                     Observer& observer) const {
  const auto B = static_cast<index_t>(dy.extent(0));
  const Exec& exec = call.context.exec();
  const Place at = place(u, B, block);
  const bool last = u + 1 == units_.size();
  observer.before(static_cast<index_t>(u), Pass::backward_weights, slot, exec);
  units_[u]->backward_weights(call, u > 0 ? ConstMatrix<Scalar>(place(u - 1, B, block).y) : x, at.saved,
                              last ? dy : ConstMatrix<Scalar>(at.dy), gradients);
  observer.after(static_cast<index_t>(u), Pass::backward_weights, slot, units_[u]->ranges(), exec);
}

template <class Scalar>
void Chain<Scalar>::backward_input(const Call<Scalar>& call, const Ends& ends, std::byte* block, index_t slot,
                                   Observer& observer) const {
  for (std::size_t u = units_.size(); u-- > 0;) backward_input(u, call, ends, block, slot, observer);
}

template <class Scalar>
void Chain<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy,
                                     std::byte* block, Vector<Scalar> gradients, index_t slot,
                                     Observer& observer) const {
  for (std::size_t u = units_.size(); u-- > 0;) backward_weights(u, call, x, dy, block, gradients, slot, observer);
}

template <class Scalar>
void Chain<Scalar>::backward(const Call<Scalar>& call, const Ends& ends, std::byte* block, Vector<Scalar> gradients,
                             index_t slot, Observer& observer) const {
  for (std::size_t u = units_.size(); u-- > 0;) {
    backward_input(u, call, ends, block, slot, observer);
    backward_weights(u, call, ends.x, ends.dy, block, gradients, slot, observer);
  }
}

template class Chain<float>;
template class Chain<double>;
template class Chain<bfloat16>;
template class Chain<float16>;

}  // namespace partita::nn
