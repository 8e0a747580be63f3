// SPDX-License-Identifier: BSD-3-Clause

#include <dlfcn.h>
#include <sched.h>

// Preloaded into the tests: MPICH over UCX polls for messages and never yields, so that ranks which share a core burn
// whole slices of the scheduler: an 8-byte all-reduce takes milliseconds at 4 ranks on 2 cores, tens of them at 8. This
// gives the core away after a poll that found nothing. What is sent, and in which order, does not change; another MPI
// has no such function, and then nothing happens here. Never preload it where times are reported.

extern "C" unsigned ucp_worker_progress(void* worker) {
  using Progress = unsigned (*)(void*);
  static const auto progress = reinterpret_cast<Progress>(dlsym(RTLD_NEXT, "ucp_worker_progress"));
  const unsigned found = progress(worker);
  if (found == 0) sched_yield();
  return found;
}
