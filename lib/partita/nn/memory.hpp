// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

#include <partita/core/types.hpp>

namespace partita::nn {

/// Of the elements of views.
template <class... Views>
index_t bytes_of(const Views&... views) {
  return (index_t{0} + ... + static_cast<index_t>(views.size() * sizeof(typename Views::value_type)));
}

/// Cuts a block of device memory into aligned pieces, in order. Without a block it only counts: the code that uses a
/// layout is the code that sizes it.
class Cutter {
 public:
  Cutter() = default;
  explicit Cutter(std::byte* block) : block_(block) {}

  template <class T>
  Vector<T> vector(index_t n) {
    std::byte* const at = take(static_cast<std::size_t>(n) * sizeof(T));
    return Vector<T>(reinterpret_cast<T*>(at), static_cast<std::size_t>(n));
  }
  template <class T>
  Matrix<T> matrix(index_t rows, index_t columns) {
    std::byte* const at = take(static_cast<std::size_t>(rows * columns) * sizeof(T));
    return Matrix<T>(reinterpret_cast<T*>(at), static_cast<std::size_t>(rows), static_cast<std::size_t>(columns));
  }
  /// Null while counting.
  std::byte* take(std::size_t bytes) {
    std::byte* const at = block_ == nullptr ? nullptr : block_ + used_;
    used_ += (bytes + alignment - 1) / alignment * alignment;
    return at;
  }

  /// The offset of the next `bytes`.
  std::size_t skip(std::size_t bytes) {
    const std::size_t at = used_;
    take(bytes);
    return at;
  }

  std::size_t used() const { return used_; }

 private:
  static constexpr std::size_t alignment = 64;
  std::byte* block_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace partita::nn
