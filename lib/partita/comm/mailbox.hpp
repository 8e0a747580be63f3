// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include <partita/comm/communicator.hpp>

namespace partita::comm {

/// Short notes between ranks that do not know who will write next: a header that travels as bytes, and a few numbers.
/// Control messages, which nobody counts. Sending and looking never block, also to oneself. Notes of one pair of ranks
/// and one tag come in the order in which they were sent, and ahead of payload that was sent after them.
///
/// Memory   a buffer for each note that is on its way, which is used again.
class Mailbox {
 public:
  /// The communicator must outlive this.
  explicit Mailbox(const Communicator& comm) : comm_(comm) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  /// Waits until all notes are taken, unless an exception is on its way.
  ~Mailbox();

  template <Trivial Header>
  void send(const Header& header, int to, int tag, std::span<const double> numbers = {}) {
    std::byte* note = begin_send(sizeof(Header) + numbers.size_bytes());
    std::memcpy(note, &header, sizeof(Header));
    if (!numbers.empty()) std::memcpy(note + sizeof(Header), numbers.data(), numbers.size_bytes());
    end_send(to, tag);
  }

  /// Takes the next note that is there, from whomever, if any; returns who sent it.
  /// Throws   Error for a note that is too short for the header.
  template <Trivial Header>
  std::optional<int> take(int tag, Header& header, std::vector<double>& numbers) {
    const std::optional<int> from = take_bytes(tag, sizeof(Header));
    if (!from) return from;
    std::memcpy(&header, arrived_.data(), sizeof(Header));
    numbers.resize((arrived_.size() - sizeof(Header)) / sizeof(double));
    if (!numbers.empty())
      std::memcpy(numbers.data(), arrived_.data() + sizeof(Header), numbers.size() * sizeof(double));
    return from;
  }

  /// Notes that are on their way.
  index_t under_way();

 private:
  struct Slot {
    MPI_Request request = MPI_REQUEST_NULL;
    std::vector<std::byte> bytes;
  };
  std::byte* begin_send(std::size_t bytes);
  void end_send(int to, int tag);
  std::optional<int> take_bytes(int tag, std::size_t least);
  bool is_free(Slot& slot);

  const Communicator& comm_;
  std::deque<Slot> slots_;
  std::size_t next_ = 0;
  std::vector<std::byte> arrived_;
};

}  // namespace partita::comm
