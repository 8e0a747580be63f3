// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace partita::testing {

/// The message of the Exception that f throws; "nothing was thrown" when it returns. Any other exception passes through
/// and fails the test.
template <class Exception, class F>
std::string caught(F&& f) {
  try {
    f();
  } catch (const Exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace partita::testing
