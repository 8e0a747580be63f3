// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include <partita/core/clock.hpp>
#include <partita/kernels/context.hpp>

// A call by the backend that was chosen for it, and how one is chosen.

namespace partita::kernels::backend {

/// Times trial(backend), which returns whether there is such a kernel, by both backends in turn; tells the context.
template <class Trial>
void measure(Context& context, const CallShape& call, const Trial& trial) {
  constexpr int rounds = 3;
  const auto seconds_of = [&](Backend by) {
    const std::int64_t start = now_ns();
    trial(by);
    context.exec().fence("partita::kernels::measure");
    return seconds(now_ns() - start);
  };
  if (!trial(Backend::vendor)) return;  // warm: primitives, scratch
  trial(Backend::portable);
  context.exec().fence("partita::kernels::measure");
  BackendTiming best{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  for (int round = 0; round < rounds; ++round) {
    best.vendor_s = std::min(best.vendor_s, seconds_of(Backend::vendor));
    best.portable_s = std::min(best.portable_s, seconds_of(Backend::portable));
  }
  context.know_backend(call, best);
}

/// run(backend) does the call, and returns false, having done nothing, where the vendor has no kernel for it. `offered`
/// says whether the vendor is asked at all: of floats only. make_trial() is a function like run that may be called any
/// number of times and leaves the call's result alone, or to be overwritten; it is made where the context measures.
template <class Scalar, class Run, class MakeTrial>
void run_chosen(Context& context, const CallShape& call, bool offered, const Run& run, const MakeTrial& make_trial) {
  if constexpr (std::is_same_v<Scalar, float>)
    if (offered && context.backend(kernel_of(call.call)) == Backend::vendor) {
      if (context.must_measure(call)) measure(context, call, make_trial());
      if (context.backend(call) == Backend::vendor && run(Backend::vendor)) return;
    }
  run(Backend::portable);
}

/// For a call that overwrites what is not its input: it is its own trial.
template <class Scalar, class Run>
void run_chosen(Context& context, const CallShape& call, bool offered, const Run& run) {
  run_chosen<Scalar>(context, call, offered, run, [&]() -> const Run& { return run; });
}

}  // namespace partita::kernels::backend
