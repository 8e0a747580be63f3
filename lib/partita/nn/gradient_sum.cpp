// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/gradient_sum.hpp>

#include <algorithm>

#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {

template <class Real>
FlatGradientSum<Real>::FlatGradientSum(index_t weights, index_t statistics, const Division& division)
    : weights_(weights),
      statistics_(statistics),
      places_(division.pieces.size(), {0, 0}),
      chain_(division.leaves == 0) {
  index_t buffers = 1;
  if (!chain_) {
    const Node mine = division.chunks;
    cover_ = tree_cover(division.leaves, mine.lo, mine.hi);
    nodes_ = static_cast<index_t>(cover_.size());
    for (std::size_t k = 0; k < cover_.size(); ++k)  // a finished node stays; the next begins behind it
      tree_walk(
          cover_[k],
          [&](index_t leaf, index_t place) {
            places_[static_cast<std::size_t>(leaf - mine.lo)] = {place, 0};
            buffers = std::max(buffers, place + 1);
          },
          [](index_t, index_t) {}, static_cast<index_t>(k));
    // Whatever follows a leaf before the next one is written: merges from its buffer down to the next leaf's.
    for (std::size_t p = 0; p < places_.size(); ++p) {
      const index_t next = p + 1 < places_.size() ? places_[p + 1].buffer : nodes_;
      places_[p].merges = places_[p].buffer + 1 - next;
    }
  }
  buffers_ = Vector<Real>("partita::nn::FlatGradientSum::buffers", buffers * size());
}

template <class Real>
index_t FlatGradientSum<Real>::bytes(index_t weights, index_t statistics, const Division& division) {
  index_t buffers = 1;
  if (division.leaves > 0) {
    const std::vector<Node> cover = tree_cover(division.leaves, division.chunks.lo, division.chunks.hi);
    for (std::size_t k = 0; k < cover.size(); ++k)
      tree_walk(
          cover[k], [&](index_t, index_t place) { buffers = std::max(buffers, place + 1); }, [](index_t, index_t) {},
          static_cast<index_t>(k));
  }
  return buffers * (weights + statistics) * static_cast<index_t>(sizeof(Real));
}

template <class Real>
Destination<Real> FlatGradientSum<Real>::leaf(index_t piece, Range part) const {
  const Window<Real> whole(node(places_[static_cast<std::size_t>(piece)].buffer));
  return {whole.window(part), chain_ && piece > 0 ? kernels::Store::accumulate : kernels::Store::overwrite};
}

template <class Real>
Destination<Real> FlatGradientSum<Real>::destination(const Exec&, index_t piece, index_t) {
  return leaf(piece, weights());
}

template <class Real>
Destination<Real> FlatGradientSum<Real>::statistics(index_t piece) {
  Destination<Real> to = leaf(piece, tail());
  to.range.offset = 0;
  return to;
}

template <class Real>
bool FlatGradientSum<Real>::fold(const Exec& exec, index_t piece, Range range) {
  const auto part = [&](index_t buffer) {
    return Vector<Real>(buffers_.data() + buffer * size() + range.offset, static_cast<std::size_t>(range.extent));
  };
  const auto [buffer, merges] = places_[static_cast<std::size_t>(piece)];
  for (index_t m = 0; m < merges; ++m) kernels::add<Real>(exec, part(buffer - m), part(buffer - m - 1));
  return piece + 1 == static_cast<index_t>(places_.size());
}

template <class Real>
Vector<Real> FlatGradientSum<Real>::node(index_t k) const {
  return {buffers_.data() + k * size(), static_cast<std::size_t>(size())};
}

template <class Real>
Vector<Real> FlatGradientSum<Real>::all_nodes() const {
  return {buffers_.data(), static_cast<std::size_t>(nodes_ * size())};
}

template class FlatGradientSum<float>;
template class FlatGradientSum<double>;

}  // namespace partita::nn
