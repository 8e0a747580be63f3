// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include <partita/core/types.hpp>

namespace partita::kernels {

/// Weights as a library's kernels want them: reordered or packed by the first call that reads them, then found by the
/// others of a period.
///
/// Whoever opens a period says that nothing writes to that memory before it is closed. Only weights inside of it are
/// kept, and no copy outlives its period: an update, other weights at the same place or another model's never meet an
/// old one, and nobody has to announce them. Outside of a period every call packs for itself.
///
/// Memory   a copy for each weight and layout that is asked for within periods, made at the first time and then kept.
class PackedWeights {
 public:
  /// Open while it lives. A period within a period hides the outer one, whose copies are made anew after it.
  class Period {
   public:
    /// Of `bytes` of memory; null: of none, so that nothing is kept.
    Period(PackedWeights& of, const void* memory, std::size_t bytes);
    ~Period();
    Period(const Period&) = delete;
    Period& operator=(const Period&) = delete;

   private:
    PackedWeights& of_;
    std::pair<const std::byte*, const std::byte*> outer_;
  };

  struct Place {
    void* data = nullptr;  ///< null: the caller packs into memory of its own
    bool stale = true;     ///< the caller packs
  };

  /// A number that no other layout of this has. A layout says all but the address, extents too.
  int new_layout() { return layouts_++; }

  /// Where `weights` in this layout lie, or are to be put by the caller, in Exec's memory, aligned to 64 bytes.
  /// Runs     allocates at the first call with these weights and this layout in a period.
  Place find(const Exec& exec, const void* weights, int layout, std::size_t bytes);

  /// How often weights were packed, in periods and outside.
  index_t packed() const { return packed_; }
  /// Of all copies.
  std::size_t bytes() const;

 private:
  struct Copy {
    Kokkos::View<std::byte*, Memory> memory;
    index_t period = 0;  // in which it was made
  };
  std::pair<const std::byte*, const std::byte*> open_ = {};  // from, to
  index_t period_ = 0, packed_ = 0;
  int layouts_ = 0;
  std::map<std::pair<const void*, int>, Copy> copies_;
};

}  // namespace partita::kernels
