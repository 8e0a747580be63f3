// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/communicator.hpp>

// Assertions on which all ranks agree. main agrees on the verdict after each test; within one, use these where a rank
// that fails alone would leave and strand the others in a collective call.

namespace partita::test {

/// Collective. Success when the condition holds on every rank; else names the ranks where it does not.
inline ::testing::AssertionResult on_all_ranks(const comm::Communicator& comm, bool mine, const char* condition) {
  const std::vector<char> held = comm.allgather(static_cast<char>(mine ? 1 : 0));
  std::string ranks;
  for (std::size_t r = 0; r < held.size(); ++r)
    if (held[r] == 0) ranks += (ranks.empty() ? "" : ", ") + std::to_string(r);
  if (ranks.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << condition << " is false on rank " << ranks;
}

/// Collective. Success when every rank holds the same bytes as rank 0.
template <class T>
::testing::AssertionResult same_on_all_ranks(const comm::Communicator& comm, std::span<const T> mine) {
  std::vector<T> reference(mine.begin(), mine.end());
  comm.broadcast(reference, 0);
  const auto bytes = [](const auto& values) { return std::as_bytes(std::span(values)); };
  const bool same = std::ranges::equal(bytes(reference), bytes(mine));
  return on_all_ranks(comm, same, "same bits as rank 0");
}

}  // namespace partita::test

/// The condition must hold on every rank of comm; every rank reports when it does not. ASSERT_ALL leaves the test on
/// all ranks together.
#define EXPECT_ALL(comm, condition) EXPECT_TRUE(::partita::test::on_all_ranks(comm, (condition), #condition))
#define ASSERT_ALL(comm, condition) ASSERT_TRUE(::partita::test::on_all_ranks(comm, (condition), #condition))
