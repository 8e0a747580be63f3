// SPDX-License-Identifier: BSD-3-Clause

#include <dlfcn.h>
#include <sched.h>

#include <ctime>

// Preloaded into the tests: MPICH over UCX polls for messages and never yields, so that ranks which share a core burn
// whole slices of the scheduler: an 8-byte all-reduce takes milliseconds at 4 ranks on 2 cores, tens of them at 8. This
// gives the core away after a poll that found nothing, and sleeps after several: to yield and poll again costs as much
// as to compute, and is half of what the tests of four ranks cost. What is sent, and in which order, does not change;
// another MPI has no such function, and then nothing happens here. Never preload it where times are reported.

extern "C" unsigned ucp_worker_progress(void* worker) {
  using Progress = unsigned (*)(void*);
  constexpr long yields = 5, ns_more_a_poll = 10'000, most_ns = 200'000;
  static const auto progress = reinterpret_cast<Progress>(dlsym(RTLD_NEXT, "ucp_worker_progress"));
  static thread_local long in_vain = 0;
  const unsigned found = progress(worker);
  in_vain = found == 0 ? in_vain + 1 : 0;
  if (in_vain > yields) {
    const long longer_ns = (in_vain - yields) * ns_more_a_poll;
    const timespec pause{0, longer_ns < most_ns ? longer_ns : most_ns};
    nanosleep(&pause, nullptr);
  } else if (in_vain > 0) {
    sched_yield();
  }
  return found;
}
