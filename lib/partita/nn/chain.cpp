// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/chain.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {

template <class Scalar>
Chain<Scalar>::Chain(Units<Scalar> units) : units_(std::move(units)) {
  if (units_.empty()) refuse<UsageError>("Chain", "no unit is given", "at least one");
  for (std::size_t u = 1; u < units_.size(); ++u)
    if (units_[u]->inputs() != units_[u - 1]->outputs())
      refuse<ShapeError>("Model",
                         fmt::format("{} takes {} columns, {} before it gives {}", units_[u]->name(),
                                     units_[u]->inputs(), units_[u - 1]->name(), units_[u - 1]->outputs()),
                         "the same");
}

template <class Scalar>
void Chain<Scalar>::visit(const std::function<void(Unit<Scalar>&)>& f) const {
  for (const auto& unit : units_) unit->visit(f);
}

template <class Scalar>
PassFlop Chain<Scalar>::flop(index_t B, bool input_gradient) const {
  PassFlop sum;
  for (std::size_t u = 0; u < units_.size(); ++u)
    sum += u == 0 && !input_gradient ? units_[u]->flop_without_dx(B) : units_[u]->flop(B);
  return sum;
}

template <class Scalar>
std::size_t Chain<Scalar>::last_restored() const {
  std::size_t u = units_.size() - 1;
  while (u > 0 && !units_[u]->reads_x() && !units_[u]->restoring(1).writes_y) --u;
  return u;
}

template <class Scalar>
Restoring Chain<Scalar>::restoring(index_t B) const {
  const std::size_t last = last_restored();
  Restoring all = units_[last]->restoring(B);
  all.writes_y = all.writes_y && last + 1 == units_.size();
  for (std::size_t u = 0; u < last; ++u) all.flop += units_[u]->flop(B).forward;
  return all;
}

template <class Scalar>
typename Chain<Scalar>::Layout Chain<Scalar>::layout(index_t B) const {
  Layout all;
  Cutter saved, pending;
  std::size_t between[2] = {0, 0}, of_units = 0;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const Footprint bytes = units_[u]->footprint(B);
    Place place;
    place.saved = saved.skip(bytes.saved);
    place.pending = pending.skip(bytes.pending);
    if (u + 1 < units_.size()) {
      const std::size_t y = static_cast<std::size_t>(B * units_[u]->outputs()) * sizeof(Scalar);
      place.y_stays = units_[u + 1]->reads_x() || !units_[u]->may_end_branch();
      if (place.y_stays) place.y = saved.skip(y);
      place.dy_pending = pending.skip(y);
      between[u % 2] = std::max(between[u % 2], y);
    }
    of_units = std::max(of_units, bytes.workspace);
    all.places.push_back(place);
  }
  Cutter workspace;
  const std::size_t buffer[2] = {workspace.skip(between[0]), workspace.skip(between[1])};
  for (std::size_t u = 0; u < units_.size(); ++u) all.places[u].dy_workspace = buffer[u % 2];
  all.last_restored = last_restored();
  all.own_workspace = workspace.used();
  all.bytes = {saved.used(), pending.used(), workspace.used() + of_units};
  return all;
}

template <class Scalar>
Footprint Chain<Scalar>::footprint(index_t B) const {
  return layout(B).bytes;
}

template <class Scalar>
void Chain<Scalar>::plan(index_t B) {
  for (const auto& unit : units_) unit->plan(B);
  layout_ = layout(B);
}

template <class Scalar>
Matrix<Scalar> Chain<Scalar>::output(const Call<Scalar>& call, std::size_t u, index_t B) const {
  const Place& place = layout_.places[u];
  std::byte* const at = place.y_stays ? call.saved + place.y : call.workspace + place.dy_workspace;
  return {reinterpret_cast<Scalar*>(at), static_cast<std::size_t>(B), static_cast<std::size_t>(units_[u]->outputs())};
}

template <class Scalar>
Matrix<Scalar> Chain<Scalar>::output_gradient(const Call<Scalar>& call, std::size_t u, index_t B) const {
  std::byte* const at = call.pending == nullptr ? call.workspace + layout_.places[u].dy_workspace
                                                : call.pending + layout_.places[u].dy_pending;
  return {reinterpret_cast<Scalar*>(at), static_cast<std::size_t>(B), static_cast<std::size_t>(units_[u]->outputs())};
}

template <class Scalar>
Call<Scalar> Chain<Scalar>::of_unit(const Call<Scalar>& call, std::size_t u) const {
  Call<Scalar> inner = call;
  inner.saved = call.saved + layout_.places[u].saved;
  if (call.pending != nullptr) inner.pending = call.pending + layout_.places[u].pending;
  inner.workspace = call.workspace + layout_.own_workspace;
  return inner;
}

// What unit `end` reads.
template <class Scalar>
ConstMatrix<Scalar> Chain<Scalar>::forward_before(std::size_t end, const Call<Scalar>& call, ConstMatrix<Scalar> x,
                                                  index_t B) const {
  for (std::size_t u = 0; u < end; ++u) {
    const Matrix<Scalar> to = output(call, u, B);
    units_[u]->forward(of_unit(call, u), x, to);
    x = to;
  }
  return x;
}

template <class Scalar>
void Chain<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const std::size_t last = units_.size() - 1;
  const ConstMatrix<Scalar> from = forward_before(last, call, x, static_cast<index_t>(y.extent(0)));
  units_[last]->forward(of_unit(call, last), from, y);
}

template <class Scalar>
void Chain<Scalar>::restore(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const auto B = static_cast<index_t>(y.extent(0));
  const std::size_t last = layout_.last_restored;
  const ConstMatrix<Scalar> from = forward_before(last, call, x, B);
  units_[last]->restore(of_unit(call, last), from, last + 1 < units_.size() ? output(call, last, B) : y);
}

template <class Scalar>
void Chain<Scalar>::backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                             Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const auto B = static_cast<index_t>(dy.extent(0));
  for (std::size_t u = units_.size(); u-- > 0;) {
    const ConstMatrix<Scalar> from = u > 0 ? ConstMatrix<Scalar>(output(call, u - 1, B)) : x;
    const Matrix<Scalar> dfrom = u > 0 ? output_gradient(call, u - 1, B) : dx;
    units_[u]->backward(half, of_unit(call, u), from, y, dy, dfrom);
    y = from;
    dy = dfrom;
  }
}

template class Chain<float>;
template class Chain<double>;
template class Chain<bfloat16>;
template class Chain<float16>;

}  // namespace partita::nn
