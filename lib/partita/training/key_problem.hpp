// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace partita::training {

/// Why the value of a key cannot be, in the words of an error: for Deck::reject, or where the deck is gone, refuse.
struct KeyProblem {
  std::string key, found, expected;
};

}  // namespace partita::training
