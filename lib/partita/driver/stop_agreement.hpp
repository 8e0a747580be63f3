// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/comm/communicator.hpp>
#include <partita/driver/attendance.hpp>

namespace partita::driver {

/// Signals and the time limit may reach one rank alone, at any moment: ranks look together, and stop together.
class StopAgreement {
 public:
  StopAgreement(const comm::Communicator& world, const Attendance& attendance)
      : world_(world), attendance_(attendance) {}

  /// One all-reduce of three numbers; returns the longest of all ranks' seconds. Rank 0's clock alone says what is
  /// late. Collective.
  double look(double seconds);
  /// The ranks, which agree on it already, stop for a reason of their own.
  void stop(const std::string& reason) {
    if (!stopped()) reason_ = reason;
  }
  /// Why the ranks stop; empty: they go on. The same on all ranks.
  const std::string& reason() const { return reason_; }
  bool stopped() const { return !reason_.empty(); }

 private:
  const comm::Communicator& world_;
  const Attendance& attendance_;
  std::string reason_;
};

/// When a loop looks: after so many passes that half a second goes by, counted alike on all ranks. The count follows
/// from the last look's time of a pass, which the ranks agreed on, and grows fourfold at most from look to look.
class Looks {
 public:
  explicit Looks(StopAgreement& agreement);

  /// After each pass, on all ranks. True: stop. Collective, now and then.
  bool after_pass();
  /// Passes until the next look.
  index_t next() const { return next_; }

 private:
  StopAgreement& agreement_;
  index_t passes_ = 0, next_ = 1;
  std::int64_t since_ns_;
};

}  // namespace partita::driver
