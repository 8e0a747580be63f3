// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <partita/comm/collectives/kernels.hpp>

namespace partita::comm::detail {

/// A plan on the side that MPI can reach, chosen once: memory of Exec, or the host's, through which payload is staged.
template <template <class, Side> class Plan, class S>
class SidedPlan {
 public:
  /// No plan.
  SidedPlan() = default;
  /// direct  MPI takes pointers to memory of Exec.
  template <class... Args>
  explicit SidedPlan(bool direct, const Args&... args) {
    if (direct)
      on_exec_ = std::make_unique<Plan<S, Side::exec>>(args...);
    else
      on_host_ = std::make_unique<Plan<S, Side::host>>(args...);
  }

  explicit operator bool() const { return on_exec_ || on_host_; }

  /// call(plan, space), with the space that reaches what MPI reaches.
  template <class Call>
  auto with(const Exec& exec, Call call) const {
    return on_exec_ ? call(*on_exec_, exec) : call(*on_host_, HostExec());
  }

 private:
  std::unique_ptr<Plan<S, Side::exec>> on_exec_;
  std::unique_ptr<Plan<S, Side::host>> on_host_;
};

}  // namespace partita::comm::detail
