// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/stop_signal.hpp>

#include <csignal>
#include <cstring>

namespace partita::driver {
namespace {

constexpr int handled[] = {SIGTERM, SIGINT, SIGUSR1};

// A handler can reach nothing but globals: the one that this library has.
volatile std::sig_atomic_t received_signal = 0;

extern "C" void partita_note_signal(int number) {
  received_signal = number;
  for (const int each : handled) std::signal(each, SIG_DFL);  // the next one ends the process
}

}  // namespace

StopSignal::StopSignal() {
  received_signal = 0;
  for (const int number : handled) std::signal(number, partita_note_signal);
  std::signal(SIGPIPE, SIG_IGN);
}

StopSignal::~StopSignal() {
  for (const int number : handled) std::signal(number, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
}

int StopSignal::received() const { return received_signal; }

const char* signal_name(int number) {
  switch (number) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    default:
      return strsignal(number);
  }
}

}  // namespace partita::driver
