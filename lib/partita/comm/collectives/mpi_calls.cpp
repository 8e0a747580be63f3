// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/mpi_calls.hpp>

#include <string>

#include <partita/comm/collectives/schedule.hpp>
#include <partita/comm/collectives/staging.hpp>
#include <partita/core/float16.hpp>

namespace partita::comm {
namespace {

using detail::check;
using detail::for_each_piece;
using detail::max_count;
using detail::mpi_count;
using detail::mpi_type;

// MPI's operation on S.
template <class S>
class ReduceOp {
 public:
  explicit ReduceOp(Op op = Op::sum) : op_(detail::mpi_op(op)) {
    const auto of_16_bits = op == Op::sum ? &combine<Op::sum> : op == Op::max ? &combine<Op::max> : &combine<Op::min>;
    if constexpr (sizeof(S) == 2) check(MPI_Op_create(of_16_bits, 1, &op_), "MPI_Op_create");
  }
  ~ReduceOp() {
    if constexpr (sizeof(S) == 2) MPI_Op_free(&op_);
  }
  ReduceOp(const ReduceOp&) = delete;
  ReduceOp& operator=(const ReduceOp&) = delete;
  MPI_Op get() const { return op_; }

 private:
  template <Op op>
  static void combine(void* from, void* into, int* count, MPI_Datatype*) {
    const S* const source = static_cast<const S*>(from);
    S* const target = static_cast<S*>(into);
    for (int i = 0; i < *count; ++i) target[i] = detail::combined<op>(target[i], source[i]);
  }
  MPI_Op op_;
};

// Segments as MPI wants them.
struct Counts {
  Counts(const Segments& segments, const char* call) {
    for (int rank = 0; rank < segments.ranks(); ++rank) {
      counts.push_back(mpi_count(segments[rank].extent, call));
      offsets.push_back(mpi_count(segments[rank].offset, call));
    }
  }
  std::vector<int> counts, offsets;
};

template <class S>
std::unique_ptr<Transport<S>> make(typename MpiTransport<S>::Post post, typename MpiTransport<S>::Block block,
                                   index_t payload, const Work& work, index_t requests = 1) {
  return std::make_unique<MpiTransport<S>>(std::move(post), std::move(block), static_cast<std::size_t>(requests),
                                           payload * static_cast<index_t>(sizeof(S)), work);
}

constexpr index_t pieces(index_t n) { return (n + max_count - 1) / max_count; }

/// Memory of the plan's own, where MPI can reach it, beside the caller's buffer: its execution space is made here
/// because a default instance asks the heap.
template <class S>
class Aside {
 public:
  Aside(const Communicator& comm, const char* label, index_t n)
      : n_(n),
        memory_(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), n),
        staged_(comm.gpu_aware(), n) {}
  S* data() const { return staged_.where(memory_); }
  void take(const S* from) const { copy(from, data()); }
  void give(S* into) const { copy(data(), into); }

 private:
  void copy(const S* from, S* into) const {
    if (!staged_.direct()) return detail::copy<detail::Side::host>(host_, from, into, n_);
    detail::copy<detail::Side::exec>(exec_, from, into, n_);
    static const std::string label = "partita::comm: MPI may go on with the copy";  // made once
    exec_.fence(label);
  }

  index_t n_;
  Vector<S> memory_;
  Staging<S> staged_;
  Exec exec_;
  HostExec host_;
};

}  // namespace

template <class S>
std::unique_ptr<Transport<S>> mpi_allreduce(const Communicator& comm, index_t n, Op combined_by) {
  const auto op = std::make_shared<ReduceOp<S>>(combined_by);
  const MPI_Comm handle = comm.handle();
  const auto post = [=](const S*, S* output, std::vector<MPI_Request>& requests) {
    for_each_piece(n, [&](index_t offset, int count) {
      check(MPI_Iallreduce(MPI_IN_PLACE, output + offset, count, mpi_type<S>(), op->get(), handle,
                           &requests.emplace_back()),
            "MPI_Iallreduce");
    });
  };
  const auto block = [=](const S*, S* output) {
    for_each_piece(n, [&](index_t offset, int count) {
      check(MPI_Allreduce(MPI_IN_PLACE, output + offset, count, mpi_type<S>(), op->get(), handle), "MPI_Allreduce");
    });
  };
  return make<S>(post, block, n, mpi_allreduce_work(n * static_cast<index_t>(sizeof(S)), comm.size()), pieces(n));
}

template <class S>
std::unique_ptr<Transport<S>> mpi_reduce_scatter(const Communicator& comm, const Segments& segments) {
  const auto op = std::make_shared<ReduceOp<S>>();
  const auto counts = std::make_shared<const Counts>(segments, "MPI_Reduce_scatter");
  const Range mine = segments[comm.rank()];
  const Aside<S> sum(comm, "partita::comm::mpi_reduce_scatter::sum", mine.extent);
  const MPI_Comm handle = comm.handle();
  const auto block = [=](const S*, S* output) {
    check(MPI_Reduce_scatter(output, sum.data(), counts->counts.data(), mpi_type<S>(), op->get(), handle),
          "MPI_Reduce_scatter");
    sum.give(output + mine.offset);
  };
  // The nonblocking call leaves its result elsewhere: it is waited for.
  const auto post = [=](const S* input, S* output, std::vector<MPI_Request>&) { block(input, output); };
  const index_t n = segments.elements();
  return make<S>(post, block, n,
                 work_of(*ring_schedule(segments, comm.rank(), RingPart::reduce_scatter, max_count / 2), sizeof(S)));
}

template <class S>
std::unique_ptr<Transport<S>> mpi_all_gather(const Communicator& comm, const Segments& segments) {
  const auto counts = std::make_shared<const Counts>(segments, "MPI_Allgatherv");
  const Range mine = segments[comm.rank()];
  const MPI_Comm handle = comm.handle();
  const auto count = static_cast<int>(mine.extent);
  const auto from = [=](const S* input, const S* output) -> const void* {
    return input == output + mine.offset ? MPI_IN_PLACE : static_cast<const void*>(input);
  };
  const auto post = [=](const S* input, S* output, std::vector<MPI_Request>& requests) {
    check(MPI_Iallgatherv(from(input, output), count, mpi_type<S>(), output, counts->counts.data(),
                          counts->offsets.data(), mpi_type<S>(), handle, &requests.emplace_back()),
          "MPI_Iallgatherv");
  };
  const auto block = [=](const S* input, S* output) {
    check(MPI_Allgatherv(from(input, output), count, mpi_type<S>(), output, counts->counts.data(),
                         counts->offsets.data(), mpi_type<S>(), handle),
          "MPI_Allgatherv");
  };
  return make<S>(post, block, comm.size() > 1 ? mine.extent : 0,
                 work_of(*ring_schedule(segments, comm.rank(), RingPart::all_gather, max_count / 2), sizeof(S)));
}

template <class S>
std::unique_ptr<Transport<S>> mpi_broadcast(const Communicator& comm, index_t n, int root) {
  const MPI_Comm handle = comm.handle();
  const auto post = [=](const S*, S* output, std::vector<MPI_Request>& requests) {
    for_each_piece(n, [&](index_t offset, int count) {
      check(MPI_Ibcast(output + offset, count, mpi_type<S>(), root, handle, &requests.emplace_back()), "MPI_Ibcast");
    });
  };
  const auto block = [=](const S*, S* output) {
    for_each_piece(n, [&](index_t offset, int count) {
      check(MPI_Bcast(output + offset, count, mpi_type<S>(), root, handle), "MPI_Bcast");
    });
  };
  return make<S>(
      post, block, root_payload(comm.is_root(root), comm.size(), n),
      work_of(*broadcast_schedule(n, comm.size(), comm.rank(), root, Tree::binomial, max_count / 2), sizeof(S)),
      pieces(n));
}

template <class S>
std::unique_ptr<Transport<S>> mpi_reduce(const Communicator& comm, index_t n, int root) {
  const auto op = std::make_shared<ReduceOp<S>>();
  const MPI_Comm handle = comm.handle();
  const bool is_root = comm.is_root(root);
  // Not in place: MPICH 4.0 takes MPI_IN_PLACE for an address where a root other than 0 reduces some KiB.
  const Aside<S> mine(comm, "partita::comm::mpi_reduce::mine", is_root ? n : 0);
  const auto from = [=](const S* output) -> const S* {
    if (!is_root) return output;
    mine.take(output);
    return mine.data();
  };
  const auto post = [=](const S*, S* output, std::vector<MPI_Request>& requests) {
    const S* const source = from(output);
    for_each_piece(n, [&](index_t offset, int count) {
      check(MPI_Ireduce(source + offset, is_root ? output + offset : nullptr, count, mpi_type<S>(), op->get(), root,
                        handle, &requests.emplace_back()),
            "MPI_Ireduce");
    });
  };
  const auto block = [=](const S*, S* output) {
    const S* const source = from(output);
    for_each_piece(n, [&](index_t offset, int count) {
      check(MPI_Reduce(source + offset, is_root ? output + offset : nullptr, count, mpi_type<S>(), op->get(), root,
                       handle),
            "MPI_Reduce");
    });
  };
  return make<S>(post, block, is_root ? 0 : n,
                 work_of(*reduce_schedule(n, comm.size(), comm.rank(), root, Tree::binomial, max_count / 2), sizeof(S)),
                 pieces(n));
}

template <class S>
std::unique_ptr<Transport<S>> mpi_gather(const Communicator& comm, const Segments& segments, int root) {
  const auto counts = std::make_shared<const Counts>(segments, "MPI_Gatherv");
  const MPI_Comm handle = comm.handle();
  const bool is_root = comm.is_root(root);
  const Range mine = segments[comm.rank()];
  const auto count = static_cast<int>(mine.extent);
  const auto from = [=](const S* input, const S* output) -> const void* {
    return is_root && input == output + mine.offset ? MPI_IN_PLACE : static_cast<const void*>(input);
  };
  const auto post = [=](const S* input, S* output, std::vector<MPI_Request>& requests) {
    check(MPI_Igatherv(from(input, output), count, mpi_type<S>(), output, counts->counts.data(), counts->offsets.data(),
                       mpi_type<S>(), root, handle, &requests.emplace_back()),
          "MPI_Igatherv");
  };
  const auto block = [=](const S* input, S* output) {
    check(MPI_Gatherv(from(input, output), count, mpi_type<S>(), output, counts->counts.data(), counts->offsets.data(),
                      mpi_type<S>(), root, handle),
          "MPI_Gatherv");
  };
  return make<S>(post, block, is_root ? 0 : mine.extent,
                 work_of(*gather_schedule(segments, comm.rank(), root), sizeof(S)));
}

template <class S>
std::unique_ptr<Transport<S>> mpi_scatter(const Communicator& comm, const Segments& segments, int root) {
  const auto counts = std::make_shared<const Counts>(segments, "MPI_Scatterv");
  const MPI_Comm handle = comm.handle();
  const Range mine = segments[comm.rank()];
  const auto count = static_cast<int>(mine.extent);
  const auto post = [=](const S* input, S* output, std::vector<MPI_Request>& requests) {
    check(MPI_Iscatterv(input, counts->counts.data(), counts->offsets.data(), mpi_type<S>(), output, count,
                        mpi_type<S>(), root, handle, &requests.emplace_back()),
          "MPI_Iscatterv");
  };
  const auto block = [=](const S* input, S* output) {
    check(MPI_Scatterv(input, counts->counts.data(), counts->offsets.data(), mpi_type<S>(), output, count,
                       mpi_type<S>(), root, handle),
          "MPI_Scatterv");
  };
  return make<S>(post, block, root_payload(comm.is_root(root), comm.size(), segments.elements() - mine.extent),
                 work_of(*scatter_schedule(segments, comm.rank(), root), sizeof(S)));
}

template <class S>
std::unique_ptr<Transport<S>> mpi_all_to_all(const Communicator& comm, const Segments& segments) {
  const auto out = std::make_shared<const Counts>(segments, "MPI_Alltoallv");
  std::vector<index_t> bounds;
  for (int rank = 0; rank <= comm.size(); ++rank) bounds.push_back(rank * segments[comm.rank()].extent);
  const auto in = std::make_shared<const Counts>(Segments(bounds), "MPI_Alltoallv");
  const MPI_Comm handle = comm.handle();
  const auto post = [=](const S* input, S* output, std::vector<MPI_Request>& requests) {
    check(MPI_Ialltoallv(input, out->counts.data(), out->offsets.data(), mpi_type<S>(), output, in->counts.data(),
                         in->offsets.data(), mpi_type<S>(), handle, &requests.emplace_back()),
          "MPI_Ialltoallv");
  };
  const auto block = [=](const S* input, S* output) {
    check(MPI_Alltoallv(input, out->counts.data(), out->offsets.data(), mpi_type<S>(), output, in->counts.data(),
                        in->offsets.data(), mpi_type<S>(), handle),
          "MPI_Alltoallv");
  };
  return make<S>(post, block, segments.elements() - segments[comm.rank()].extent,
                 work_of(*all_to_all_schedule(segments, comm.rank()), sizeof(S)));
}

#define PARTITA_COMM_MPI_CALLS(S)                                                                  \
  template std::unique_ptr<Transport<S>> mpi_allreduce(const Communicator&, index_t, Op);          \
  template std::unique_ptr<Transport<S>> mpi_reduce_scatter(const Communicator&, const Segments&); \
  template std::unique_ptr<Transport<S>> mpi_all_gather(const Communicator&, const Segments&);     \
  template std::unique_ptr<Transport<S>> mpi_broadcast(const Communicator&, index_t, int);         \
  template std::unique_ptr<Transport<S>> mpi_reduce(const Communicator&, index_t, int);            \
  template std::unique_ptr<Transport<S>> mpi_gather(const Communicator&, const Segments&, int);    \
  template std::unique_ptr<Transport<S>> mpi_scatter(const Communicator&, const Segments&, int);   \
  template std::unique_ptr<Transport<S>> mpi_all_to_all(const Communicator&, const Segments&);
PARTITA_COMM_MPI_CALLS(float)
PARTITA_COMM_MPI_CALLS(double)
PARTITA_COMM_MPI_CALLS(bfloat16)
PARTITA_COMM_MPI_CALLS(float16)
#undef PARTITA_COMM_MPI_CALLS

}  // namespace partita::comm
