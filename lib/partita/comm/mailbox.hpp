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

/// Bytes of numbers as these numbers, which overwrite `numbers`: no allocation where it has room.
template <Trivial Number>
void read_numbers(std::span<const std::byte> bytes, std::vector<Number>& numbers) {
  numbers.resize(bytes.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(Number));
}

/// Short notes between ranks that do not know who will write next: a header that travels as bytes, and a few numbers of
/// one type. Control messages, which nobody counts, but where their numbers are payload. Sending and looking never
/// block, also to oneself. Notes of one pair of ranks and one tag come in the order in which they were sent, and ahead
/// of payload that was sent after them.
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

  /// Numbers, where there are some, are counted in `traffic`, if any.
  template <Trivial Header, class Numbers = std::span<const double>>
  void send(const Header& header, int to, int tag, const Numbers& numbers = {}, TrafficEntry* traffic = nullptr) {
    send_bytes(std::as_bytes(std::span(&header, 1)), std::as_bytes(std::span(numbers)), to, tag, traffic);
  }

  /// Takes the next note that is there, from whomever, if any; returns who sent it. Numbers of a type that its header
  /// tells are taken as bytes: read_numbers.
  /// Throws   Error for a note that is too short for the header.
  template <Trivial Header, Trivial Number>
  std::optional<int> take(int tag, Header& header, std::vector<Number>& numbers) {
    const std::optional<int> from = take_bytes(tag, sizeof(Header));
    if (!from) return from;
    std::memcpy(&header, arrived_.data(), sizeof(Header));
    read_numbers(std::span<const std::byte>(arrived_).subspan(sizeof(Header)), numbers);
    return from;
  }

  /// Notes that are on their way.
  index_t under_way();

 private:
  struct Slot {
    MPI_Request request = MPI_REQUEST_NULL;
    std::vector<std::byte> bytes;
  };
  void send_bytes(std::span<const std::byte> header, std::span<const std::byte> numbers, int to, int tag,
                  TrafficEntry* traffic);
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
