// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/mailbox.hpp>

#include <algorithm>
#include <exception>

#include <fmt/format.h>

namespace partita::comm {

using detail::check;

Mailbox::~Mailbox() {
  for (Slot& slot : slots_) {
    if (slot.request == MPI_REQUEST_NULL) continue;
    if (std::uncaught_exceptions() == 0) {
      const Waiting waiting(comm_.waits(), comm_.wait("send", std::ssize(slot.bytes)));
      MPI_Wait(&slot.request, MPI_STATUS_IGNORE);
    } else {
      MPI_Request_free(&slot.request);  // the process is about to end
    }
  }
}

bool Mailbox::is_free(Slot& slot) {
  int done = 0;
  check(MPI_Test(&slot.request, &done, MPI_STATUS_IGNORE), "MPI_Test", comm_.name());
  return done != 0;
}

index_t Mailbox::under_way() {
  return std::count_if(slots_.begin(), slots_.end(), [this](Slot& slot) { return !is_free(slot); });
}

void Mailbox::send_bytes(std::span<const std::byte> header, std::span<const std::byte> numbers, int to, int tag,
                         TrafficEntry* traffic) {
  std::byte* note = begin_send(header.size() + numbers.size());
  std::copy(numbers.begin(), numbers.end(), std::copy(header.begin(), header.end(), note));
  end_send(to, tag);
  if (traffic == nullptr || numbers.empty()) return;
  ++traffic->calls;
  ++traffic->messages;
  traffic->sent_bytes += std::ssize(numbers);
}

// The oldest note is the first to be taken, as a rule.
std::byte* Mailbox::begin_send(std::size_t bytes) {
  next_ = slots_.empty() ? 0 : (next_ + 1) % slots_.size();
  for (std::size_t k = 0; k < slots_.size() && !is_free(slots_[next_]); ++k) next_ = (next_ + 1) % slots_.size();
  if (slots_.empty() || slots_[next_].request != MPI_REQUEST_NULL) {
    slots_.emplace_back();
    next_ = slots_.size() - 1;
  }
  slots_[next_].bytes.resize(bytes);
  return slots_[next_].bytes.data();
}

void Mailbox::end_send(int to, int tag) {
  Slot& slot = slots_[next_];
  check(MPI_Isend(slot.bytes.data(), detail::mpi_count(std::ssize(slot.bytes), "MPI_Isend"), MPI_BYTE, to, tag,
                  comm_.handle(), &slot.request),
        "MPI_Isend", comm_.name());
}

std::optional<int> Mailbox::take_bytes(int tag, std::size_t least) {
  int found = 0, bytes = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  check(MPI_Improbe(MPI_ANY_SOURCE, tag, comm_.handle(), &found, &message, &status), "MPI_Improbe", comm_.name());
  if (found == 0) return std::nullopt;
  check(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count", comm_.name());
  arrived_.resize(static_cast<std::size_t>(bytes));
  check(MPI_Mrecv(arrived_.data(), bytes, MPI_BYTE, &message, MPI_STATUS_IGNORE), "MPI_Mrecv", comm_.name());
  if (arrived_.size() < least)
    refuse<Error>("Mailbox::take", fmt::format("a note of {} bytes", bytes), fmt::format("at least {}", least));
  return status.MPI_SOURCE;
}

}  // namespace partita::comm
