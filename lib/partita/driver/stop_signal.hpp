// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace partita::driver {

/// While it lives, SIGTERM, SIGINT and SIGUSR1 (what schedulers send before the end) only set a flag, so that a run can
/// end in good order at the next step that all ranks agree on. A second one, of whichever kind, ends the process at
/// once. SIGPIPE does nothing meanwhile: that a pipe was closed is for who writes to it.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Number of the signal that came, or 0.
  int received() const;
};

/// "SIGTERM" for its number.
const char* signal_name(int number);

}  // namespace partita::driver
