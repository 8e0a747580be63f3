// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/comm/mailbox.hpp>

namespace partita::comm {

/// Notes between threads that watch the ranks of a job, whatever the ranks themselves are stuck in. On a communicator
/// of its own; one thread of each rank uses it.
class WatchLine {
 public:
  /// open: MPI lets another thread than the first one talk.
  WatchLine(Communicator ranks, bool open);

  /// Where it is not, there is nobody to talk to.
  bool open() const { return open_ && ranks_.size() > 1; }
  int rank() const { return ranks_.rank(); }
  int size() const { return ranks_.size(); }
  /// A number for each who uses it, one after another: the same on all ranks. Notes of the last one may come late.
  int next_user() { return users_++; }

  /// Neither blocks.
  template <Trivial Note>
  void send(const Note& note, int to) {
    ++sent_[static_cast<std::size_t>(to)];
    mail_.send(note, to, tag);
  }
  /// The next note that is there, and who sent it.
  template <Trivial Note>
  std::optional<int> take(Note& note) {
    std::vector<double> nothing;
    const std::optional<int> from = mail_.take(tag, note, nothing);
    if (from) ++taken_;
    return from;
  }

  /// Takes what nobody has taken, so that nothing is under way at MPI_Finalize. Collective, once nobody sends any more.
  void settle();

 private:
  static constexpr int tag = 1;

  Communicator ranks_;
  Mailbox mail_;
  bool open_;
  int users_ = 0;
  std::vector<index_t> sent_;  // to each rank
  index_t taken_ = 0;
};

}  // namespace partita::comm
