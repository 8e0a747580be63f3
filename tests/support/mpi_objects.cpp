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
  void made(Handle handle, Handle null, const char* by) {
    if (handle == null) return;
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

int begun(int status, const MPI_Request* request, const char* by) {
  if (status == MPI_SUCCESS) alive().requests.made(*request, MPI_REQUEST_NULL, by);
  return status;
}

void done(MPI_Request before, MPI_Request after) {
  if (after == MPI_REQUEST_NULL) alive().requests.gone(before);
}

// Requests of a call, as they were.
class Before {
 public:
  Before(int count, const MPI_Request requests[]) : count_(std::min(count, most)) {
    std::copy_n(requests, count_, requests_.begin());
    if (count > most) std::abort();
  }
  void done(const MPI_Request after[]) const {
    for (int k = 0; k < count_; ++k) ::done(requests_[static_cast<std::size_t>(k)], after[k]);
  }

 private:
  static constexpr int most = 256;
  int count_;
  std::array<MPI_Request, most> requests_;
};

}  // namespace

extern "C" {

// comm::Communicator is not freed by an exception that unwinds, since others may never come to free it, too.
[[noreturn]] void __cxa_throw(void* exception, std::type_info* type, void (*destroy)(void*)) {
  static const auto call = next(__func__, &__cxa_throw);
  alive().communicators.excuse();
  call(exception, type, destroy);
  std::abort();
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm* made) {
  static const auto call = next(__func__, &MPI_Comm_dup);
  const int status = call(comm, made);
  if (status == MPI_SUCCESS) alive().communicators.made(*made, MPI_COMM_NULL, __func__);
  return status;
}
int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm* made) {
  static const auto call = next(__func__, &MPI_Comm_split);
  const int status = call(comm, color, key, made);
  if (status == MPI_SUCCESS) alive().communicators.made(*made, MPI_COMM_NULL, __func__);
  return status;
}
int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm* made) {
  static const auto call = next(__func__, &MPI_Comm_split_type);
  const int status = call(comm, type, key, info, made);
  if (status == MPI_SUCCESS) alive().communicators.made(*made, MPI_COMM_NULL, __func__);
  return status;
}
int MPI_Comm_free(MPI_Comm* comm) {
  static const auto call = next(__func__, &MPI_Comm_free);
  alive().communicators.gone(*comm);
  return call(comm);
}

int MPI_Comm_group(MPI_Comm comm, MPI_Group* made) {
  static const auto call = next(__func__, &MPI_Comm_group);
  const int status = call(comm, made);
  if (status == MPI_SUCCESS) alive().groups.made(*made, MPI_GROUP_NULL, __func__);
  return status;
}
int MPI_Group_free(MPI_Group* group) {
  static const auto call = next(__func__, &MPI_Group_free);
  alive().groups.gone(*group);
  return call(group);
}

int MPI_Type_contiguous(int count, MPI_Datatype of, MPI_Datatype* made) {
  static const auto call = next(__func__, &MPI_Type_contiguous);
  const int status = call(count, of, made);
  if (status == MPI_SUCCESS) alive().datatypes.made(*made, MPI_DATATYPE_NULL, __func__);
  return status;
}
int MPI_Type_free(MPI_Datatype* type) {
  static const auto call = next(__func__, &MPI_Type_free);
  alive().datatypes.gone(*type);
  return call(type);
}

int MPI_Op_create(MPI_User_function* function, int commutes, MPI_Op* made) {
  static const auto call = next(__func__, &MPI_Op_create);
  const int status = call(function, commutes, made);
  if (status == MPI_SUCCESS) alive().operations.made(*made, MPI_OP_NULL, __func__);
  return status;
}
int MPI_Op_free(MPI_Op* op) {
  static const auto call = next(__func__, &MPI_Op_free);
  alive().operations.gone(*op);
  return call(op);
}

int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Isend);
  return begun(call(data, count, type, to, tag, comm, made), made, __func__);
}
int MPI_Irecv(void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Irecv);
  return begun(call(data, count, type, from, tag, comm, made), made, __func__);
}
int MPI_Ibarrier(MPI_Comm comm, MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Ibarrier);
  return begun(call(comm, made), made, __func__);
}
int MPI_Ibcast(void* data, int count, MPI_Datatype type, int root, MPI_Comm comm, MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Ibcast);
  return begun(call(data, count, type, root, comm, made), made, __func__);
}
int MPI_Ireduce(const void* in, void* out, int count, MPI_Datatype type, MPI_Op op, int root, MPI_Comm comm,
                MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Ireduce);
  return begun(call(in, out, count, type, op, root, comm, made), made, __func__);
}
int MPI_Iallreduce(const void* in, void* out, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm,
                   MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Iallreduce);
  return begun(call(in, out, count, type, op, comm, made), made, __func__);
}
int MPI_Igatherv(const void* in, int count, MPI_Datatype type, void* out, const int counts[], const int offsets[],
                 MPI_Datatype out_type, int root, MPI_Comm comm, MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Igatherv);
  return begun(call(in, count, type, out, counts, offsets, out_type, root, comm, made), made, __func__);
}
int MPI_Iscatterv(const void* in, const int counts[], const int offsets[], MPI_Datatype type, void* out, int count,
                  MPI_Datatype out_type, int root, MPI_Comm comm, MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Iscatterv);
  return begun(call(in, counts, offsets, type, out, count, out_type, root, comm, made), made, __func__);
}
int MPI_Iallgatherv(const void* in, int count, MPI_Datatype type, void* out, const int counts[], const int offsets[],
                    MPI_Datatype out_type, MPI_Comm comm, MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Iallgatherv);
  return begun(call(in, count, type, out, counts, offsets, out_type, comm, made), made, __func__);
}
int MPI_Ialltoallv(const void* in, const int counts[], const int offsets[], MPI_Datatype type, void* out,
                   const int out_counts[], const int out_offsets[], MPI_Datatype out_type, MPI_Comm comm,
                   MPI_Request* made) {
  static const auto call = next(__func__, &MPI_Ialltoallv);
  return begun(call(in, counts, offsets, type, out, out_counts, out_offsets, out_type, comm, made), made, __func__);
}

int MPI_Wait(MPI_Request* request, MPI_Status* status) {
  static const auto call = next(__func__, &MPI_Wait);
  const MPI_Request before = *request;
  const int result = call(request, status);
  done(before, *request);
  return result;
}
int MPI_Test(MPI_Request* request, int* flag, MPI_Status* status) {
  static const auto call = next(__func__, &MPI_Test);
  const MPI_Request before = *request;
  const int result = call(request, flag, status);
  done(before, *request);
  return result;
}
int MPI_Waitall(int count, MPI_Request requests[], MPI_Status statuses[]) {
  static const auto call = next(__func__, &MPI_Waitall);
  const Before before(count, requests);
  const int result = call(count, requests, statuses);
  before.done(requests);
  return result;
}
int MPI_Testall(int count, MPI_Request requests[], int* flag, MPI_Status statuses[]) {
  static const auto call = next(__func__, &MPI_Testall);
  const Before before(count, requests);
  const int result = call(count, requests, flag, statuses);
  before.done(requests);
  return result;
}
int MPI_Waitany(int count, MPI_Request requests[], int* index, MPI_Status* status) {
  static const auto call = next(__func__, &MPI_Waitany);
  const Before before(count, requests);
  const int result = call(count, requests, index, status);
  before.done(requests);
  return result;
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
