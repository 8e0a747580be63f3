// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <partita/comm/call_check.hpp>
#include <partita/comm/mpi_support.hpp>
#include <partita/comm/traffic.hpp>
#include <partita/core/error.hpp>

namespace partita::comm {

namespace detail {
template <class T>
inline constexpr bool is_span = false;
template <class T, std::size_t N>
inline constexpr bool is_span<std::span<T, N>> = true;
}  // namespace detail

/// Host metadata that may travel as bytes.
template <class T>
concept Trivial = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !detail::is_span<T>;

/// What can be summed and compared; a bool goes through all_of.
template <class T>
concept Number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;

/// A group of ranks with a name: the world, or an axis of the mesh. Move-only; frees only what it owns.
///
/// The member functions are for host metadata (options, names, verdicts) and block. Payload of a strategy goes through
/// collectives/, which take the execution space, plan their scratch and count their traffic.
/// Every call is collective over the communicator, but for send and receive. MPI errors throw Error naming the call.
class Communicator {
 public:
  /// Takes over a handle: freed with this object.
  static Communicator adopt(MPI_Comm handle, std::string name, Traffic* traffic, bool gpu_aware);
  /// Looks at a handle that somebody else frees.
  static Communicator borrow(MPI_Comm handle, std::string name, Traffic* traffic, bool gpu_aware);

  Communicator(Communicator&& other) noexcept;
  Communicator& operator=(Communicator&& other) noexcept;
  ~Communicator();

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_root(int root = 0) const { return rank_ == root; }
  const std::string& name() const { return name_; }
  MPI_Comm handle() const { return handle_; }
  /// Where collectives on this communicator count; null when nobody asked.
  Traffic* traffic() const { return traffic_; }
  /// The entry of a collective on this communicator; null when nobody asked.
  TrafficEntry* traffic_entry(std::string_view operation, std::string_view algorithm) const;
  /// Where what this rank waits for is put; null when nobody asked.
  WaitBoard* waits() const { return traffic_ == nullptr ? nullptr : &traffic_->waits(); }
  /// For Waiting: this rank waits in `operation` (a literal, or what the board keeps) for `peer` of this communicator,
  /// or for all (-1). A `call` is what begin_call() gave; -1: it is no collective.
  Wait wait(const char* operation, index_t bytes, int peer = -1, index_t call = -1) const;
  /// The number of the collective call that begins: the same on all ranks, which call in the same order. Where
  /// Traffic asks for it, ranks tell each other of it; its own number is ignored.
  index_t begin_call(CollectiveCall call) const;
  /// Before this rank waits in a call: waits until the rank before it has begun the same one, and all before that.
  /// Nothing where Traffic does not ask for it.
  /// Throws   Error where it has begun another one.
  void require_same_call(Wait wait) const;
  /// The rank of the world that is rank `peer` here; -1 stays -1.
  int world_rank(int peer) const {
    return peer < 0 || world_ranks_.empty() ? peer : world_ranks_[static_cast<std::size_t>(peer)];
  }
  /// A tag for the messages of one collective, so that several may be in flight: all ranks plan their collectives on a
  /// communicator in the same order. After some 16,000 they come again.
  int claim_tag() const;
  /// MPI accepts pointers to memory of Exec. When it does not, collectives stage through host memory.
  bool gpu_aware() const { return gpu_aware_; }

  Communicator duplicate(std::string name) const;
  /// Ranks of one color together, ordered by key.
  Communicator split(int color, int key, std::string name) const;
  /// Ranks that share memory together, named "node".
  Communicator split_by_node() const;

  void barrier() const;
  /// The same for who may wait long: calls `meanwhile` about each millisecond, and leaves the core to others between.
  void barrier(const std::function<void()>& meanwhile) const;

  /// Root's values on all ranks; all give the same size.
  template <Trivial T>
  void broadcast(std::span<T> values, int root = 0) const {
    broadcast_bytes(values.data(), static_cast<index_t>(values.size_bytes()), root);
  }
  template <Trivial T>
  void broadcast(T& value, int root = 0) const {
    broadcast_bytes(&value, sizeof(T), root);
  }
  /// Root's text or list on all ranks, resized where needed.
  void broadcast(std::string& text, int root = 0) const;
  template <Trivial T>
  void broadcast(std::vector<T>& values, int root = 0) const {
    auto count = static_cast<index_t>(values.size());
    broadcast(count, root);
    values.resize(static_cast<std::size_t>(count));
    broadcast(std::span<T>(values), root);
  }

  /// Every rank's values, in rank order, on root; elsewhere empty. Ranks may give different sizes.
  template <Trivial T>
  std::vector<T> gather(std::span<const T> mine, int root = 0) const {
    const std::vector<index_t> counts = gather_counts(static_cast<index_t>(mine.size()), root);
    std::vector<T> all(static_cast<std::size_t>(total(counts)));
    gather_bytes(mine.data(), sizeof(T), static_cast<index_t>(mine.size()), all.data(), counts, root);
    return all;
  }
  template <Trivial T>
  std::vector<T> gather(const T& mine, int root = 0) const {
    return gather(std::span<const T>(&mine, 1), root);
  }
  std::vector<std::string> gather(const std::string& mine, int root = 0) const;

  /// The same on every rank.
  template <Trivial T>
  std::vector<T> allgather(std::span<const T> mine) const {
    std::vector<T> all = gather(mine, 0);
    broadcast(all, 0);
    return all;
  }
  template <Trivial T>
  std::vector<T> allgather(const T& mine) const {
    return allgather(std::span<const T>(&mine, 1));
  }

  /// Combined over ranks, the same bits on every rank.
  template <Number T>
  T allreduce(T mine, Op op) const {
    allreduce_in_place(&mine, 1, detail::mpi_type<T>(), op);
    return mine;
  }
  /// Element by element; all give the same size.
  template <Number T>
  void allreduce(std::span<T> values, Op op) const {
    allreduce_in_place(values.data(), static_cast<index_t>(values.size()), detail::mpi_type<T>(), op);
  }
  bool all_of(bool mine) const { return allreduce(mine ? 1 : 0, Op::min) == 1; }

  /// Blocking, between two ranks; the receiver knows the size. Tags below 16384.
  template <Trivial T>
  void send(std::span<const T> values, int to, int tag = 0) const {
    send_bytes(values.data(), static_cast<index_t>(values.size_bytes()), to, tag);
  }
  template <Trivial T>
  void receive(std::span<T> values, int from, int tag = 0) const {
    receive_bytes(values.data(), static_cast<index_t>(values.size_bytes()), from, tag);
  }

  /// Runs f on root alone and gives its value (void, std::string, trivially copyable, or a vector of that) to all.
  ///
  /// When f throws there, every rank throws: the same message, the class of its exit code. So a file that only root
  /// reads fails on all ranks alike, and nobody waits for a rank that left.
  template <class F>
  auto on_root(F f, int root = 0) const -> std::invoke_result_t<F>;

 private:
  Communicator(MPI_Comm handle, bool owned, std::string name, Traffic* traffic, bool gpu_aware);
  void release() noexcept;
  bool checks_calls() const { return traffic_ != nullptr && traffic_->checks_calls() && size_ > 1; }
  Waiting in(const char* collective, index_t bytes, const CollectiveCall& call) const;

  static index_t total(const std::vector<index_t>& counts);
  void broadcast_bytes(void* data, index_t bytes, int root) const;
  std::vector<index_t> gather_counts(index_t mine, int root) const;
  void gather_bytes(const void* mine, std::size_t element_bytes, index_t count, void* all,
                    const std::vector<index_t>& counts, int root) const;
  void allreduce_in_place(void* data, index_t count, MPI_Datatype type, Op op) const;
  void send_bytes(const void* data, index_t bytes, int to, int tag) const;
  void receive_bytes(void* data, index_t bytes, int from, int tag) const;
  /// Tells all how root fared; throws root's failure everywhere.
  void share_outcome(std::exception_ptr failure, int root) const;

  MPI_Comm handle_ = MPI_COMM_NULL;
  bool owned_ = false;
  int rank_ = 0;
  int size_ = 1;
  std::string name_;
  Traffic* traffic_ = nullptr;
  bool gpu_aware_ = false;
  mutable int tags_claimed_ = 0;
  mutable index_t calls_ = 0;
  mutable std::unique_ptr<CallCheck> check_;  // from the first call that is checked
  std::vector<int> world_ranks_;              // of each rank here; empty: the same
  const char* axis_ = "";                     // the name, where waits() keeps it
};

template <class F>
auto Communicator::on_root(F f, int root) const -> std::invoke_result_t<F> {
  using Value = std::invoke_result_t<F>;
  std::exception_ptr failure;
  const auto attempt = [&](auto call) {
    if (!is_root(root)) return;
    try {
      call();
    } catch (...) {
      failure = std::current_exception();
    }
  };
  if constexpr (std::is_void_v<Value>) {
    attempt([&] { f(); });
    share_outcome(failure, root);
  } else {
    Value value{};
    attempt([&] { value = f(); });
    share_outcome(failure, root);
    broadcast(value, root);
    return value;
  }
}

}  // namespace partita::comm
