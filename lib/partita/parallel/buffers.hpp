// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/types.hpp>

// What exchanges share about memory.

namespace partita::parallel {

/// n elements that somebody will overwrite.
template <class T>
Vector<T> make_buffer(const char* label, index_t n) {
  return Vector<T>(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), n);
}

/// Elements `range` of a buffer.
template <class T>
Vector<T> part(const Vector<T>& of, Range range) {
  return {of.data() + range.offset, static_cast<std::size_t>(range.extent)};
}

}  // namespace partita::parallel
