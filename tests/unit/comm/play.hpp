// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <partita/comm/collectives/schedule.hpp>

namespace partita::comm::test {

/// All ranks of a collective in one process, on the strictest network there is: nothing is buffered, a message is
/// copied when both sides have posted it and not before, as late or as early as a random order of events has it. So a
/// circle of waiting ranks stands still, and a buffer that changes under a message shows in the result.
class Play {
 public:
  struct Rank {
    std::shared_ptr<const Schedule> schedule;
    std::vector<double> input, output;
    bool in_place = false;               ///< the input is the output
    index_t messages = 0, elements = 0;  ///< sent

    // How far it is.
    std::vector<double> slots = {}, scratch = {};
    index_t receives_posted = 0, received = 0, sends_posted = 0, sends_done = 0;
    std::vector<char> receive_done = {}, send_done = {};
  };

  explicit Play(std::vector<Rank> ranks, unsigned seed) : ranks_(std::move(ranks)), random_(seed) {
    for (Rank& rank : ranks_) {
      rank.slots.assign(static_cast<std::size_t>(ahead(rank) * rank.schedule->longest_sum()), -1e9);
      rank.scratch.assign(static_cast<std::size_t>(rank.schedule->scratch()), -1e9);
      rank.receive_done.assign(static_cast<std::size_t>(rank.schedule->receives()), 0);
      rank.send_done.assign(static_cast<std::size_t>(rank.schedule->sends()), 0);
      const OwnPart own = rank.schedule->own();
      const std::vector<double>& from = rank.in_place ? rank.output : rank.input;
      if (!rank.in_place) std::copy_n(from.begin() + own.from.offset, own.from.extent, rank.output.begin() + own.to);
    }
  }

  /// Whether every message arrived.
  bool run() {
    std::vector<int> order(ranks_.size() * 5);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    for (;;) {
      std::shuffle(order.begin(), order.end(), random_);
      bool moved = false;
      for (const int event : order)
        if (happens(event / 5, event % 5)) {
          moved = true;
          break;
        }
      if (!moved) break;
    }
    for (const Rank& rank : ranks_)
      if (rank.received < rank.schedule->receives() || rank.sends_done < rank.schedule->sends()) return false;
    return true;
  }

  const std::vector<Rank>& ranks() const { return ranks_; }

 private:
  static index_t ahead(const Rank& rank) { return std::max<index_t>(1, rank.schedule->ahead()); }

  bool happens(int r, int kind) {
    Rank& rank = ranks_[static_cast<std::size_t>(r)];
    const Schedule& schedule = *rank.schedule;
    switch (kind) {
      case 0: {  // a receive is posted
        if (rank.receives_posted == std::min(schedule.receives(), rank.received + ahead(rank))) return false;
        const Message message = schedule.receive(rank.receives_posted);
        if (!message.adds && message.after > rank.sends_done) return false;
        if (!message.adds) note_overlap(rank, message);
        if (message.range.extent == 0)
          rank.receive_done[static_cast<std::size_t>(rank.receives_posted)] = 1;
        else
          receives_[{message.peer, r}].push_back(rank.receives_posted);
        ++rank.receives_posted;
        return true;
      }
      case 1: {  // a send is posted
        if (rank.sends_posted == schedule.sends()) return false;
        const Message message = schedule.send(rank.sends_posted);
        if (message.after > rank.received) return false;
        if (message.range.extent == 0) {
          rank.send_done[static_cast<std::size_t>(rank.sends_posted)] = 1;
        } else {
          sends_[{r, message.peer}].push_back(rank.sends_posted);
          ++rank.messages;
          rank.elements += message.range.extent;
        }
        ++rank.sends_posted;
        return true;
      }
      case 2: {  // a message crosses
        for (auto& [link, posted] : sends_) {
          if (link.first != r || posted.empty() || receives_[link].empty()) continue;
          cross(link, posted.front(), receives_[link].front());
          posted.erase(posted.begin());
          receives_[link].erase(receives_[link].begin());
          return true;
        }
        return false;
      }
      case 3: {  // a send is known to have left
        if (rank.sends_done == rank.sends_posted || rank.send_done[static_cast<std::size_t>(rank.sends_done)] == 0)
          return false;
        ++rank.sends_done;
        return true;
      }
      default: {  // what arrived is taken in
        if (rank.received == rank.receives_posted || rank.receive_done[static_cast<std::size_t>(rank.received)] == 0)
          return false;
        const Message message = schedule.receive(rank.received);
        if (message.adds) {
          if (message.range.extent > 0 && message.after > rank.sends_done) return false;
          note_overlap(rank, message);
          const double* const slot = slot_of(rank, rank.received);
          for (index_t i = 0; i < message.range.extent; ++i) at(rank, message)[i] += slot[i];
        }
        ++rank.received;
        return true;
      }
    }
  }

  // MPI forbids to change what a send that is not known to have left reads, whatever became of the message.
  void note_overlap(const Rank& rank, const Message& message) {
    for (index_t i = rank.sends_done; i < rank.sends_posted; ++i) {
      const Message sent = rank.schedule->send(i);
      const bool same_memory = sent.place == message.place ||
                               (rank.in_place && sent.place != Place::scratch && message.place != Place::scratch);
      if (same_memory && sent.range.offset < message.range.end() && message.range.offset < sent.range.end() &&
          sent.range.extent > 0 && message.range.extent > 0)
        ++overlaps_;
    }
  }

  void cross(std::pair<int, int> link, index_t sent, index_t received) {
    Rank& from = ranks_[static_cast<std::size_t>(link.first)];
    Rank& to = ranks_[static_cast<std::size_t>(link.second)];
    const Message out = from.schedule->send(sent), in = to.schedule->receive(received);
    ++(out.range.extent == in.range.extent ? matched_ : mismatched_);
    std::copy_n(at(from, out), std::min(out.range.extent, in.range.extent),
                in.adds ? slot_of(to, received) : at(to, in));
    from.send_done[static_cast<std::size_t>(sent)] = 1;
    to.receive_done[static_cast<std::size_t>(received)] = 1;
  }

  static double* slot_of(Rank& rank, index_t i) {
    return rank.slots.data() + i % ahead(rank) * rank.schedule->longest_sum();
  }
  static double* at(Rank& rank, const Message& message) {
    std::vector<double>& memory = message.place == Place::scratch                   ? rank.scratch
                                  : message.place == Place::output || rank.in_place ? rank.output
                                                                                    : rank.input;
    return memory.data() + message.range.offset;
  }

  std::vector<Rank> ranks_;
  std::mt19937 random_;
  std::map<std::pair<int, int>, std::vector<index_t>> sends_, receives_;  // posted, of a link

 public:
  index_t matched_ = 0, mismatched_ = 0;  ///< messages whose two sides have, or have not, the same extent
  index_t overlaps_ = 0;                  ///< changes of what a message may still read
};

}  // namespace partita::comm::test
