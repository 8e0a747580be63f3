// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/error.hpp>

namespace partita::training {

/// Why the value of a key cannot be, in the words of an error: for Deck::reject, or where the deck is gone, refuse.
struct KeyProblem {
  std::string key, found, expected;
};

/// What f refuses is told of this option or key: "--resume: <path>: <found>: expected ...".
template <class F>
void naming(const char* where, F f) {
  try {
    f();
  } catch (const UsageError& error) {
    throw UsageError(std::string(where) + ": " + error.what());
  }
}

}  // namespace partita::training
