// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/stage_buffers.hpp>

#include <algorithm>

namespace partita::parallel {

StageBuffers stage_buffers(const nn::Actions& actions, int stage, index_t micro_batches) {
  const nn::Peak most = nn::peak(actions, stage);
  const index_t slots = most.slots, pending = most.pending;
  return {slots, pending, std::min(micro_batches, slots + 1),
          std::min(micro_batches, std::max<index_t>(pending, 1) + 1), std::min<index_t>(micro_batches, 2)};
}

}  // namespace partita::parallel
