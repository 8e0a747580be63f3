// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <Kokkos_Core.hpp>

namespace partita::nn::test {

/// Bytes of Views whose labels begin so, that are allocated while this lives; one at a time.
class Counting {
 public:
  explicit Counting(const char* prefix) {
    bytes() = 0;
    counted() = prefix;
    Kokkos::Tools::Experimental::set_allocate_data_callback(
        [](Kokkos_Profiling_SpaceHandle, const char* label, const void*, const std::uint64_t size) {
          if (std::string_view(label).starts_with(counted())) bytes() += size;
        });
  }
  ~Counting() { Kokkos::Tools::Experimental::set_allocate_data_callback(nullptr); }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

  /// Whether these are so many bytes and the headers of so many Views, each at most 256.
  ::testing::AssertionResult is(std::size_t expected, std::size_t views = 8) const {
    if (bytes() >= expected && bytes() <= expected + 256 * views) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << bytes() << " bytes in place of " << expected;
  }

 private:
  static std::size_t& bytes() {
    static std::size_t sum = 0;
    return sum;
  }
  static std::string& counted() {
    static std::string prefix;
    return prefix;
  }
};

}  // namespace partita::nn::test
