// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/conflicts.hpp>

namespace partita::parallel::server {

void Conflicts::hand_in(index_t update, index_t version, std::span<const std::int32_t> rows) {
  if (changed_.empty()) {
    ++handed_in_;
    conflicts_ += version_ > version ? 1 : 0;
    return;
  }
  handed_in_ += std::ssize(rows);
  for (const std::int32_t row : rows) conflicts_ += changed_[static_cast<std::size_t>(row)] > version ? 1 : 0;
  std::vector<std::int32_t>& touched = touched_[update];
  touched.insert(touched.end(), rows.begin(), rows.end());
}

void Conflicts::updated(index_t update) {
  version_ = update + 1;
  const auto found = touched_.extract(update);
  if (found.empty()) return;
  for (const std::int32_t row : found.mapped()) changed_[static_cast<std::size_t>(row)] = version_;
}

}  // namespace partita::parallel::server
