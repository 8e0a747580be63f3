// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/comm/collectives/schedule.hpp>

namespace partita::comm {
namespace {

class Ring final : public Schedule {
 public:
  Ring(const Segments& segments, int rank, RingPart part, index_t chunk)
      : segments_(segments),
        rank_(rank),
        part_(part),
        chunk_(chunk),
        chunks_((segments.longest() + chunk - 1) / chunk),
        first_step_(part == RingPart::all_gather ? P() - 1 : 0),
        items_(chunks_ * ((part == RingPart::reduce_scatter ? P() - 1 : 2 * P() - 2) - first_step_)) {}

  index_t sends() const override { return items_; }
  index_t receives() const override { return items_; }
  Message send(index_t i) const override {
    // The first step sends what was here; later ones pass on what the step before took in.
    return {wrap(rank_ + 1), Place::output, range(rank_ - step(i) - 1, i), false,
            std::max<index_t>(0, i - chunks_ + 1)};
  }
  Message receive(index_t i) const override {
    const bool adds = step(i) < P() - 1;
    // The final sum replaces the part of it that this rank sent P-1 steps ago: MPI must be done with that message.
    const index_t after = adds || first_step_ > 0 ? 0 : i - (P() - 1) * chunks_ + 1;
    return {wrap(rank_ - 1), Place::output, range(rank_ - step(i) - 2, i), adds, after};
  }
  OwnPart own() const override {
    if (part_ != RingPart::all_gather) return {};
    const Range mine = segments_[rank_];
    return {{0, mine.extent}, mine.offset};
  }
  index_t ahead() const override { return chunks_ + 1; }  // a step, and one
  index_t longest_sum() const override {
    return first_step_ == 0 && P() > 1 ? std::min(chunk_, segments_.longest()) : 0;
  }

 private:
  int P() const { return segments_.ranks(); }
  int wrap(int rank) const { return (rank % P() + P()) % P(); }
  int step(index_t i) const { return first_step_ + static_cast<int>(i / chunks_); }
  Range range(int segment, index_t i) const {
    const Range whole = segments_[wrap(segment)];
    const index_t begin = std::min(i % chunks_ * chunk_, whole.extent);
    return {whole.offset + begin, std::min(chunk_, whole.extent - begin)};
  }

  Segments segments_;
  int rank_;
  RingPart part_;
  index_t chunk_, chunks_;  // elements of a message; messages of the longest segment
  int first_step_;
  index_t items_;
};

}  // namespace

index_t RingOptions::chunk(index_t longest, index_t element_bytes) const {
  constexpr index_t most_counted = index_t{1} << 30;  // MPI counts to 2^31 - 1
  const index_t least = std::max<index_t>(1, chunk_bytes / element_bytes);
  const index_t wanted = std::max(least, (longest + most_chunks - 1) / most_chunks);
  return std::clamp<index_t>(wanted, 1, std::clamp<index_t>(longest, 1, most_counted));
}

std::unique_ptr<Schedule> ring_schedule(const Segments& segments, int rank, RingPart part, index_t chunk) {
  return std::make_unique<Ring>(segments, rank, part, chunk);
}

}  // namespace partita::comm
