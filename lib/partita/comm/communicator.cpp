// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/communicator.hpp>

#include <chrono>
#include <new>
#include <numeric>
#include <thread>
#include <utility>

#include <partita/comm/failure.hpp>

namespace partita::comm {

using detail::check;

namespace {

// Of each rank of the communicator; empty where all have the same number there.
std::vector<int> ranks_of_world(MPI_Comm handle, int size) {
  MPI_Group here = MPI_GROUP_NULL, world = MPI_GROUP_NULL;
  check(MPI_Comm_group(handle, &here), "MPI_Comm_group");
  check(MPI_Comm_group(MPI_COMM_WORLD, &world), "MPI_Comm_group");
  std::vector<int> ranks(static_cast<std::size_t>(size)), same(ranks.size());
  std::iota(same.begin(), same.end(), 0);
  const int code = MPI_Group_translate_ranks(here, size, same.data(), world, ranks.data());
  MPI_Group_free(&here);
  MPI_Group_free(&world);
  check(code, "MPI_Group_translate_ranks");
  if (ranks == same) ranks.clear();
  return ranks;
}

}  // namespace

Communicator::Communicator(MPI_Comm handle, bool owned, std::string name, Traffic* traffic, bool gpu_aware)
    : handle_(handle), owned_(owned), name_(std::move(name)), traffic_(traffic), gpu_aware_(gpu_aware) {
  check(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", name_);
  check(MPI_Comm_rank(handle_, &rank_), "MPI_Comm_rank", name_);
  check(MPI_Comm_size(handle_, &size_), "MPI_Comm_size", name_);
  if (traffic_ == nullptr) return;
  axis_ = waits()->keep(name_);
  world_ranks_ = ranks_of_world(handle_, size_);
}

Communicator Communicator::adopt(MPI_Comm handle, std::string name, Traffic* traffic, bool gpu_aware) {
  return {handle, true, std::move(name), traffic, gpu_aware};
}

Communicator Communicator::borrow(MPI_Comm handle, std::string name, Traffic* traffic, bool gpu_aware) {
  return {handle, false, std::move(name), traffic, gpu_aware};
}

Communicator::Communicator(Communicator&& other) noexcept
    : handle_(std::exchange(other.handle_, MPI_COMM_NULL)),
      owned_(std::exchange(other.owned_, false)),
      rank_(other.rank_),
      size_(other.size_),
      name_(std::move(other.name_)),
      traffic_(other.traffic_),
      gpu_aware_(other.gpu_aware_),
      tags_claimed_(other.tags_claimed_),
      calls_(other.calls_),
      check_(std::move(other.check_)),
      world_ranks_(std::move(other.world_ranks_)),
      axis_(other.axis_) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
  if (this == &other) return *this;
  release();
  handle_ = std::exchange(other.handle_, MPI_COMM_NULL);
  owned_ = std::exchange(other.owned_, false);
  rank_ = other.rank_;
  size_ = other.size_;
  name_ = std::move(other.name_);
  traffic_ = other.traffic_;
  gpu_aware_ = other.gpu_aware_;
  tags_claimed_ = other.tags_claimed_;
  calls_ = other.calls_;
  check_ = std::move(other.check_);
  world_ranks_ = std::move(other.world_ranks_);
  axis_ = other.axis_;
  return *this;
}

Communicator::~Communicator() { release(); }

void Communicator::release() noexcept {
  check_.reset();
  // MPI_Comm_free is collective: while an exception unwinds, the others may never come. The process is about to end.
  if (owned_ && handle_ != MPI_COMM_NULL && std::uncaught_exceptions() == 0) MPI_Comm_free(&handle_);
  handle_ = MPI_COMM_NULL;
}

TrafficEntry* Communicator::traffic_entry(std::string_view operation, std::string_view algorithm) const {
  return traffic_ == nullptr ? nullptr : &traffic_->entry(operation, algorithm, name_);
}

Wait Communicator::wait(const char* operation, index_t bytes, int peer, index_t call) const {
  return {.operation = operation, .axis = axis_, .call = call, .bytes = bytes, .peer = world_rank(peer)};
}

index_t Communicator::begin_call(CollectiveCall call) const {
  call.number = calls_++;
  if (checks_calls()) {
    if (!check_) check_ = std::make_unique<CallCheck>(handle_, rank_, size_);
    check_->tell(call);
  }
  return call.number;
}

void Communicator::require_same_call(Wait wait) const {
  if (!check_ || wait.call < 0) return;
  wait.peer = world_rank((rank_ + size_ - 1) % size_);
  const Waiting waiting(waits(), wait);
  check_->hear(wait.call, name_);
}

Waiting Communicator::in(const char* collective, index_t bytes, const CollectiveCall& call) const {
  const Wait all = wait(collective, bytes, call.root == rank_ ? -1 : call.root, begin_call(call));
  require_same_call(all);
  return {waits(), all};
}

int Communicator::claim_tag() const {
  constexpr int first = detail::first_claimed_tag;
  return first + tags_claimed_++ % (detail::last_own_tag - first + 1);
}

Communicator Communicator::duplicate(std::string name) const {
  MPI_Comm handle = MPI_COMM_NULL;
  const Waiting waiting = in("duplicate", 0, {.operation = "duplicate"});
  check(MPI_Comm_dup(handle_, &handle), "MPI_Comm_dup", name_);
  return adopt(handle, std::move(name), traffic_, gpu_aware_);
}

Communicator Communicator::split(int color, int key, std::string name) const {
  MPI_Comm handle = MPI_COMM_NULL;
  const Waiting waiting = in("split", 0, {.operation = "split"});
  check(MPI_Comm_split(handle_, color, key, &handle), "MPI_Comm_split", name_);
  return adopt(handle, std::move(name), traffic_, gpu_aware_);
}

Communicator Communicator::split_by_node() const {
  MPI_Comm handle = MPI_COMM_NULL;
  const Waiting waiting = in("split", 0, {.operation = "split_by_node"});
  check(MPI_Comm_split_type(handle_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &handle), "MPI_Comm_split_type",
        name_);
  return adopt(handle, "node", traffic_, gpu_aware_);
}

void Communicator::barrier() const {
  const Waiting waiting = in("barrier", 0, {.operation = "barrier"});
  check(MPI_Barrier(handle_), "MPI_Barrier", name_);
}

void Communicator::barrier(const std::function<void()>& meanwhile) const {
  MPI_Request request = MPI_REQUEST_NULL;
  const Waiting waiting(waits(), wait("barrier", 0, -1, begin_call({.operation = "barrier"})));
  check(MPI_Ibarrier(handle_, &request), "MPI_Ibarrier", name_);
  for (int done = 0;;) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test", name_);
    if (done != 0) return;
    meanwhile();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Communicator::broadcast(std::string& text, int root) const {
  auto count = static_cast<index_t>(text.size());
  broadcast(count, root);
  text.resize(static_cast<std::size_t>(count));
  broadcast_bytes(text.data(), count, root);
}

void Communicator::broadcast_bytes(void* data, index_t bytes, int root) const {
  const Waiting waiting = in("broadcast", bytes, {.operation = "broadcast", .elements = bytes, .root = root});
  detail::for_each_piece(bytes, [&](index_t offset, int count) {
    check(MPI_Bcast(static_cast<char*>(data) + offset, count, MPI_BYTE, root, handle_), "MPI_Bcast", name_);
  });
}

index_t Communicator::total(const std::vector<index_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), index_t{0});
}

std::vector<index_t> Communicator::gather_counts(index_t mine, int root) const {
  std::vector<index_t> counts(is_root(root) ? static_cast<std::size_t>(size_) : 0);
  const Waiting waiting =
      in("gather", sizeof(mine), {.operation = "gather", .elements = 1, .element_bytes = sizeof(mine), .root = root});
  check(MPI_Gather(&mine, 1, MPI_INT64_T, counts.data(), 1, MPI_INT64_T, root, handle_), "MPI_Gather", name_);
  return counts;
}

void Communicator::gather_bytes(const void* mine, std::size_t element_bytes, index_t count, void* all,
                                const std::vector<index_t>& counts, int root) const {
  std::vector<int> mpi_counts, offsets;
  index_t offset = 0;
  for (const index_t c : counts) {
    offsets.push_back(detail::mpi_count(offset, "MPI_Gatherv"));
    mpi_counts.push_back(detail::mpi_count(c, "MPI_Gatherv"));
    offset += c;
  }
  // Counted in elements, not bytes: lists of records reach further before int ends.
  MPI_Datatype element = MPI_DATATYPE_NULL;
  check(MPI_Type_contiguous(static_cast<int>(element_bytes), MPI_BYTE, &element), "MPI_Type_contiguous", name_);
  check(MPI_Type_commit(&element), "MPI_Type_commit", name_);
  const Waiting waiting =
      in("gather", count * static_cast<index_t>(element_bytes),
         {.operation = "gather", .element_bytes = static_cast<index_t>(element_bytes), .root = root});
  const int code = MPI_Gatherv(mine, detail::mpi_count(count, "MPI_Gatherv"), element, all, mpi_counts.data(),
                               offsets.data(), element, root, handle_);
  MPI_Type_free(&element);
  check(code, "MPI_Gatherv", name_);
}

std::vector<std::string> Communicator::gather(const std::string& mine, int root) const {
  const std::vector<index_t> lengths = gather(static_cast<index_t>(mine.size()), root);
  const std::vector<char> text = gather(std::span<const char>(mine), root);
  std::vector<std::string> all;
  auto begin = text.begin();
  for (const index_t length : lengths) {
    all.emplace_back(begin, begin + length);
    begin += length;
  }
  return all;
}

void Communicator::allreduce_in_place(void* data, index_t count, MPI_Datatype type, Op op) const {
  const index_t element_bytes = detail::mpi_size(type);
  const CollectiveCall call{.operation = "allreduce",
                            .algorithm = op == Op::sum   ? "sum"
                                         : op == Op::min ? "min"
                                                         : "max",
                            .elements = count,
                            .element_bytes = element_bytes};
  const Waiting waiting = in("allreduce", count * element_bytes, call);
  check(MPI_Allreduce(MPI_IN_PLACE, data, detail::mpi_count(count, "MPI_Allreduce"), type, detail::mpi_op(op), handle_),
        "MPI_Allreduce", name_);
}

void Communicator::send_bytes(const void* data, index_t bytes, int to, int tag) const {
  const Waiting waiting(waits(), wait("send", bytes, to));
  detail::for_each_piece(bytes, [&](index_t offset, int count) {
    check(MPI_Send(static_cast<const char*>(data) + offset, count, MPI_BYTE, to, tag, handle_), "MPI_Send", name_);
  });
}

void Communicator::receive_bytes(void* data, index_t bytes, int from, int tag) const {
  const Waiting waiting(waits(), wait("receive", bytes, from));
  detail::for_each_piece(bytes, [&](index_t offset, int count) {
    check(MPI_Recv(static_cast<char*>(data) + offset, count, MPI_BYTE, from, tag, handle_, MPI_STATUS_IGNORE),
          "MPI_Recv", name_);
  });
}

void Communicator::share_outcome(std::exception_ptr failure, int root) const {
  detail::Failure mine;
  if (failure) mine = detail::describe(failure);
  int code = static_cast<int>(mine.code);
  broadcast(code, root);
  if (code == 0) return;
  broadcast(mine.message, root);
  if (failure) std::rethrow_exception(failure);
  rethrow_as(static_cast<ExitCode>(code), mine.message);
}

}  // namespace partita::comm
