// SPDX-License-Identifier: BSD-3-Clause
// Preloaded into the tests: counts communicators, groups, datatypes, operations and requests that a program makes, and
// makes it fail in MPI_Finalize when some are left, with a line for each call that made them. The calls are those of
// lib/ (the style test compares); a request is done when MPI has set it to null. Not linked with MPI, which it would
// bring, with its signal handlers, to programs without.
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <typeinfo>

#include <mpi.h>

namespace {

// Objects of one kind: who made each. Some handles stand for several requests, which were done at once. Allocates
// nothing: tests count what is allocated.
template <class Handle>
class Alive {
 public:
  void made(Handle handle, const char* by) {
    const std::lock_guard lock(mutex_);
    if (count_ == most) {
      std::fputs("error: mpi_objects.cpp: too many objects at a time\n", stderr);
      std::abort();
    }
    entries_[count_++] = {handle, by, false};
  }
  // Those that are there now may be left.
  void excuse() {
    const std::lock_guard lock(mutex_);
    for (std::size_t k = 0; k < count_; ++k) entries_[k].excused = true;
  }
  void gone(Handle handle) {
    const std::lock_guard lock(mutex_);
    for (std::size_t k = count_; k-- > 0;)
      if (entries_[k].handle == handle) {
        entries_[k] = entries_[--count_];
        return;
      }
  }
  bool all_gone(const char* what, int rank) const {
    std::map<const char*, int> count;
    for (std::size_t k = 0; k < count_; ++k)
      if (!entries_[k].excused) ++count[entries_[k].by];
    for (const auto& [by, n] : count)
      std::fprintf(stderr, "error: MPI_Finalize: %d of %s are left on rank %d, made by %s: expected none\n", n, what,
                   rank, by);
    return count.empty();
  }

 private:
  static constexpr std::size_t most = 1 << 14;
  struct Entry {
    Handle handle;
    const char* by;
    bool excused;
  };
  std::mutex mutex_;  // threads of watchdogs communicate, too
  std::array<Entry, most> entries_;
  std::size_t count_ = 0;
};

struct Objects {
  Alive<MPI_Comm> communicators;
  Alive<MPI_Group> groups;
  Alive<MPI_Datatype> datatypes;
  Alive<MPI_Op> operations;
  Alive<MPI_Request> requests;
};
Objects& alive() {
  static Objects objects;
  return objects;
}

template <class Function>
Function* next(const char* name, Function* = nullptr) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Returns the status of the call that may have made it.
template <class Handle>
int made(int status, Alive<Handle>& kind, const Handle* out, Handle null, const char* by) {
  if (status == MPI_SUCCESS && *out != null) kind.made(*out, by);
  return status;
}
int begun(int status, const MPI_Request* request, const char* by) {
  return made(status, alive().requests, request, MPI_REQUEST_NULL, by);
}

// A call that may set requests to null, which are done then.
template <class Call>
int looking_at(int count, MPI_Request requests[], Call call) {
  std::array<MPI_Request, 256> before;
  if (count > static_cast<int>(before.size())) {
    std::fputs("error: mpi_objects.cpp: too many requests in a call\n", stderr);
    std::abort();
  }
  std::copy_n(requests, count, before.begin());
  const int status = call();
  for (int k = 0; k < count; ++k)
    if (requests[k] == MPI_REQUEST_NULL) alive().requests.gone(before[static_cast<std::size_t>(k)]);
  return status;
}

}  // namespace

extern "C" {

// comm::Communicator is not freed by an exception that unwinds, since others may never come to free it, too.
[[noreturn]] void __cxa_throw(void* exception, std::type_info* type, void (*destroy)(void*)) {
  static const auto call = next(__func__, &__cxa_throw);
  alive().communicators.excuse();
  call(exception, type, destroy);
  std::abort();
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm* out) {
  static const auto call = next(__func__, &MPI_Comm_dup);
  return made(call(comm, out), alive().communicators, out, MPI_COMM_NULL, __func__);
}
int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm* out) {
  static const auto call = next(__func__, &MPI_Comm_split);
  return made(call(comm, color, key, out), alive().communicators, out, MPI_COMM_NULL, __func__);
}
int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm* out) {
  static const auto call = next(__func__, &MPI_Comm_split_type);
  return made(call(comm, type, key, info, out), alive().communicators, out, MPI_COMM_NULL, __func__);
}
int MPI_Comm_free(MPI_Comm* comm) {
  static const auto call = next(__func__, &MPI_Comm_free);
  alive().communicators.gone(*comm);
  return call(comm);
}

int MPI_Comm_group(MPI_Comm comm, MPI_Group* out) {
  static const auto call = next(__func__, &MPI_Comm_group);
  return made(call(comm, out), alive().groups, out, MPI_GROUP_NULL, __func__);
}
int MPI_Group_free(MPI_Group* group) {
  static const auto call = next(__func__, &MPI_Group_free);
  alive().groups.gone(*group);
  return call(group);
}

int MPI_Type_contiguous(int count, MPI_Datatype of, MPI_Datatype* out) {
  static const auto call = next(__func__, &MPI_Type_contiguous);
  return made(call(count, of, out), alive().datatypes, out, MPI_DATATYPE_NULL, __func__);
}
int MPI_Type_free(MPI_Datatype* type) {
  static const auto call = next(__func__, &MPI_Type_free);
  alive().datatypes.gone(*type);
  return call(type);
}

int MPI_Op_create(MPI_User_function* function, int commutes, MPI_Op* out) {
  static const auto call = next(__func__, &MPI_Op_create);
  return made(call(function, commutes, out), alive().operations, out, MPI_OP_NULL, __func__);
}
int MPI_Op_free(MPI_Op* op) {
  static const auto call = next(__func__, &MPI_Op_free);
  alive().operations.gone(*op);
  return call(op);
}

int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Isend);
  return begun(call(data, count, type, to, tag, comm, request), request, __func__);
}
int MPI_Irecv(void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Irecv);
  return begun(call(data, count, type, from, tag, comm, request), request, __func__);
}
int MPI_Ibarrier(MPI_Comm comm, MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Ibarrier);
  return begun(call(comm, request), request, __func__);
}
int MPI_Ibcast(void* data, int count, MPI_Datatype type, int root, MPI_Comm comm, MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Ibcast);
  return begun(call(data, count, type, root, comm, request), request, __func__);
}
int MPI_Ireduce(const void* in, void* out, int count, MPI_Datatype type, MPI_Op op, int root, MPI_Comm comm,
                MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Ireduce);
  return begun(call(in, out, count, type, op, root, comm, request), request, __func__);
}
int MPI_Iallreduce(const void* in, void* out, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm,
                   MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Iallreduce);
  return begun(call(in, out, count, type, op, comm, request), request, __func__);
}
int MPI_Igatherv(const void* in, int count, MPI_Datatype type, void* out, const int counts[], const int offsets[],
                 MPI_Datatype out_type, int root, MPI_Comm comm, MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Igatherv);
  return begun(call(in, count, type, out, counts, offsets, out_type, root, comm, request), request, __func__);
}
int MPI_Iscatterv(const void* in, const int counts[], const int offsets[], MPI_Datatype type, void* out, int count,
                  MPI_Datatype out_type, int root, MPI_Comm comm, MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Iscatterv);
  return begun(call(in, counts, offsets, type, out, count, out_type, root, comm, request), request, __func__);
}
int MPI_Iallgatherv(const void* in, int count, MPI_Datatype type, void* out, const int counts[], const int offsets[],
                    MPI_Datatype out_type, MPI_Comm comm, MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Iallgatherv);
  return begun(call(in, count, type, out, counts, offsets, out_type, comm, request), request, __func__);
}
int MPI_Ialltoallv(const void* in, const int counts[], const int offsets[], MPI_Datatype type, void* out,
                   const int out_counts[], const int out_offsets[], MPI_Datatype out_type, MPI_Comm comm,
                   MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Ialltoallv);
  return begun(call(in, counts, offsets, type, out, out_counts, out_offsets, out_type, comm, request), request,
               __func__);
}

int MPI_Wait(MPI_Request* request, MPI_Status* status) {
  static const auto call = next(__func__, &MPI_Wait);
  return looking_at(1, request, [&] { return call(request, status); });
}
int MPI_Test(MPI_Request* request, int* flag, MPI_Status* status) {
  static const auto call = next(__func__, &MPI_Test);
  return looking_at(1, request, [&] { return call(request, flag, status); });
}
int MPI_Waitall(int count, MPI_Request requests[], MPI_Status statuses[]) {
  static const auto call = next(__func__, &MPI_Waitall);
  return looking_at(count, requests, [&] { return call(count, requests, statuses); });
}
int MPI_Testall(int count, MPI_Request requests[], int* flag, MPI_Status statuses[]) {
  static const auto call = next(__func__, &MPI_Testall);
  return looking_at(count, requests, [&] { return call(count, requests, flag, statuses); });
}
int MPI_Waitany(int count, MPI_Request requests[], int* index, MPI_Status* status) {
  static const auto call = next(__func__, &MPI_Waitany);
  return looking_at(count, requests, [&] { return call(count, requests, index, status); });
}
int MPI_Request_free(MPI_Request* request) {
  static const auto call = next(__func__, &MPI_Request_free);
  alive().requests.gone(*request);
  return call(request);
}

int MPI_Finalize() {
  static const auto call = next(__func__, &MPI_Finalize);
  int rank = 0;
  next<decltype(MPI_Comm_rank)>("MPI_Comm_rank")(MPI_COMM_WORLD, &rank);
  const Objects& left = alive();
  const bool none = int{left.communicators.all_gone("communicators", rank)} &
                    int{left.groups.all_gone("groups", rank)} & int{left.datatypes.all_gone("datatypes", rank)} &
                    int{left.operations.all_gone("operations", rank)} & int{left.requests.all_gone("requests", rank)};
  const int status = call();
  if (none) return status;
  std::fflush(nullptr);
  std::_Exit(EXIT_FAILURE);
}

}  // extern "C"
