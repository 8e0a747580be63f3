// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/packed_weights.hpp>

#include <functional>

namespace partita::kernels {

PackedWeights::Period::Period(PackedWeights& of, const void* memory, std::size_t bytes) : of_(of), outer_(of.open_) {
  const auto* const from = static_cast<const std::byte*>(memory);
  of_.open_ = {from, from == nullptr ? from : from + bytes};
  ++of_.period_;
}

PackedWeights::Period::~Period() {
  of_.open_ = outer_;
  ++of_.period_;
}

PackedWeights::Place PackedWeights::find(const Exec& exec, const void* weights, int layout, std::size_t bytes) {
  const auto* const at = static_cast<const std::byte*>(weights);
  const std::less<const std::byte*> before;
  if (before(at, open_.first) || !before(at, open_.second)) {
    ++packed_;
    return {};
  }
  Copy& copy = copies_[{weights, layout}];
  const bool small = copy.memory.extent(0) < bytes, stale = small || copy.period != period_;
  if (small)
    copy.memory = Kokkos::View<std::byte*, Memory>(
        Kokkos::view_alloc(exec, "partita::kernels::PackedWeights::copy", Kokkos::WithoutInitializing), bytes);
  copy.period = period_;
  if (stale) ++packed_;
  return {copy.memory.data(), stale};
}

std::size_t PackedWeights::bytes() const {
  std::size_t sum = 0;
  for (const auto& [key, copy] : copies_) sum += copy.memory.extent(0);
  return sum;
}

}  // namespace partita::kernels
