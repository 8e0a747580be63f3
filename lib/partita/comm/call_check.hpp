// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <list>
#include <string>

#include <mpi.h>

#include <partita/core/index.hpp>
#include <partita/core/short_text.hpp>

namespace partita::comm {

/// What a rank says of a collective call that it begins: what all ranks of the communicator must say alike. Travels as
/// bytes.
struct CollectiveCall {
  ShortText operation;       ///< "allreduce", "broadcast", ...
  ShortText algorithm = {};  ///< "ring"; of host metadata how it is combined, "max"; empty: there is but one
  index_t elements = -1;     ///< -1: each rank has its own number of them
  index_t element_bytes = 1;
  int root = -1;        ///< -1: there is none
  index_t number = -1;  ///< of the call on its communicator, from 0

  bool operator==(const CollectiveCall&) const = default;
};

/// Holds the collective calls of a rank against those of the rank before it on a communicator, one by one: calls that
/// do not match are an error and no hang. Where each rank agrees with the one before it (the first with the last), all
/// agree.
///
/// Cost     a message of some hundred bytes a call, which Traffic does not count.
/// Source   as TORCH_DISTRIBUTED_DEBUG=DETAIL in PyTorch, which compares collectives before it runs them.
class CallCheck {
 public:
  CallCheck(MPI_Comm handle, int rank, int size) : handle_(handle), rank_(rank), size_(size) {}
  /// Waits until what was told has left; while an exception unwinds, it does not.
  ~CallCheck();
  CallCheck(const CallCheck&) = delete;
  CallCheck& operator=(const CallCheck&) = delete;

  /// Tells the next rank. Waits for nobody.
  void tell(const CollectiveCall& mine);
  /// Hears of all calls up to this one from the rank before: waits until it begins them.
  /// Throws   Error naming both ranks, by their numbers here, and what they call.
  void hear(index_t number, const std::string& axis);

 private:
  struct Told {
    CollectiveCall call;
    MPI_Request request = MPI_REQUEST_NULL;
    bool heard = false;
  };

  MPI_Comm handle_;
  int rank_, size_;
  std::list<Told> told_, spare_;  // spare: told and heard, to be used again
};

}  // namespace partita::comm
