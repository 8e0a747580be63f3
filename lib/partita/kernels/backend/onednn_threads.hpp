// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// oneDNN sizes its teams like any parallel region. Weak, for a oneDNN whose runtime is not OpenMP.
extern "C" {
int omp_get_max_threads() __attribute__((weak));
void omp_set_num_threads(int) __attribute__((weak));
}

namespace partita::kernels::backend::onednn {

/// oneDNN uses the threads of the execution-space instance while one of these lives.
class ThreadGuard {
 public:
  explicit ThreadGuard(int wanted) {
    if (!omp_get_max_threads || !omp_set_num_threads || omp_get_max_threads() == wanted) return;
    before_ = omp_get_max_threads();
    omp_set_num_threads(wanted);
  }
  ~ThreadGuard() {
    if (before_ > 0) omp_set_num_threads(before_);
  }
  ThreadGuard(const ThreadGuard&) = delete;
  ThreadGuard& operator=(const ThreadGuard&) = delete;

 private:
  int before_ = 0;
};

}  // namespace partita::kernels::backend::onednn
