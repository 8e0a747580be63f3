// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/mpi/report.hpp>

#include <algorithm>

namespace partita::parallel::server {
namespace {

// Numbers of a rank, one after the other: counts are exact in a double.
class Writer {
 public:
  void operator()(double value) { numbers_.push_back(value); }
  void operator()(index_t value) { numbers_.push_back(static_cast<double>(value)); }
  void operator()(const Samples& samples) {
    (*this)(std::ssize(samples.values()));
    numbers_.insert(numbers_.end(), samples.values().begin(), samples.values().end());
  }
  std::span<const double> numbers() const { return numbers_; }

 private:
  std::vector<double> numbers_;
};

class Reader {
 public:
  explicit Reader(std::span<const double> numbers) : left_(numbers) {}
  bool more() const { return !left_.empty(); }
  void operator()(double& value) {
    value = left_.front();
    left_ = left_.subspan(1);
  }
  void operator()(index_t& value) {
    double number = 0;
    (*this)(number);
    value = static_cast<index_t>(number);
  }
  void operator()(Samples& samples) {
    index_t count = 0;
    (*this)(count);
    samples.add(left_.first(static_cast<std::size_t>(count)));
    left_ = left_.subspan(static_cast<std::size_t>(count));
  }

 private:
  std::span<const double> left_;
};

// Of a worker, beside its own statistics.
struct Towards {
  index_t pushed_bytes = 0, pulled_bytes = 0, skew_max = 0;
  double skew_sum = 0;
};

template <class Each, class Worker>
void travel(Each& each, Worker& worker) {
  each(worker.pushes);
  each(worker.cancelled);
  each(worker.compute_s);
  each(worker.wait_s);
  each(worker.present_s);
  each(worker.pull_s);
  each(worker.push_s);
}

template <class Each, class Server>
void travel_server(Each& each, Server& server) {
  each(server.updates);
  each(server.keys.offset);
  each(server.keys.extent);
  each(server.received_bytes);
  each(server.sent_bytes);
  each(server.queue_depth);
  each(server.service_s);
}

}  // namespace

template <class Scalar>
RanksReport gather_report(const comm::Communicator& comm, const ServerRank<Scalar>* server,
                          const WorkerRank<Scalar>* worker) {
  Writer of_server, of_worker;
  if (server != nullptr) {
    travel_server(of_server, server->statistics);
    of_server(server->conflicts.handed_in());
    of_server(server->conflicts.conflicts());
  }
  if (worker != nullptr) {
    travel(of_worker, worker->statistics);
    of_worker(worker->skew_count);
    for (std::size_t s = 0; s < worker->pushed_bytes.size(); ++s) {
      of_worker(worker->pushed_bytes[s]);
      of_worker(worker->pulled_bytes[s]);
      of_worker(worker->skew_max[s]);
      of_worker(worker->skew_sum[s]);
    }
  }
  const std::vector<double> servers = comm.gather(of_server.numbers()), workers = comm.gather(of_worker.numbers());
  RanksReport report;
  if (!comm.is_root()) return report;
  index_t handed_in = 0, conflicts = 0;
  for (Reader read(servers); read.more();) {
    index_t mine = 0, hit = 0;
    travel_server(read, report.servers.emplace_back());
    read(mine);
    read(hit);
    handed_in += mine;
    conflicts += hit;
  }
  report.conflict_rate = handed_in == 0 ? 0 : static_cast<double>(conflicts) / static_cast<double>(handed_in);
  for (Reader read(workers); read.more();) {
    WorkerStatistics& of = report.workers.emplace_back();
    const WorkerStatistics& seen = server->workers[report.workers.size() - 1];  // by the first server
    of.staleness_count = seen.staleness_count;
    of.dropped = seen.dropped;
    index_t skews = 0;
    travel(read, of);
    read(skews);
    for (ServerStatistics& to : report.servers) {
      Towards towards;
      read(towards.pushed_bytes);
      read(towards.pulled_bytes);
      read(towards.skew_max);
      read(towards.skew_sum);
      to.expected_received_bytes += static_cast<double>(towards.pushed_bytes);
      to.expected_sent_bytes += static_cast<double>(towards.pulled_bytes);
      to.skew_max = std::max(to.skew_max, towards.skew_max);
      to.skew_sum += towards.skew_sum;
      to.skew_count += skews;
    }
  }
  return report;
}

std::vector<double> gather_norms(const comm::Communicator& comm, const Exec& exec, std::span<const double> squares,
                                 bool is_server, index_t updates) {
  const index_t all = comm.allreduce(updates, comm::Op::min);
  const index_t cells =
      comm.allreduce(is_server && updates > 0 ? std::ssize(squares) / updates : index_t{0}, comm::Op::max);
  std::vector<double> norms, sums;
  if (cells == 0) return norms;
  constexpr index_t most = index_t{1} << 20;  // numbers of one sum over the ranks
  const index_t together = std::max<index_t>(1, most / cells);
  for (index_t u = 0; u < all; u += together) {
    const index_t n = std::min(together, all - u) * cells;
    sums.assign(static_cast<std::size_t>(n), 0);
    if (is_server) std::copy_n(squares.begin() + u * cells, n, sums.begin());
    comm.allreduce(std::span<double>(sums), comm::Op::sum);
    for (index_t k = 0; comm.is_root() && k < n; k += cells)
      norms.push_back(norm_of_squares(
          exec, std::span<const double>(sums).subspan(static_cast<std::size_t>(k), static_cast<std::size_t>(cells))));
  }
  return norms;
}

template RanksReport gather_report(const comm::Communicator&, const ServerRank<float>*, const WorkerRank<float>*);
template RanksReport gather_report(const comm::Communicator&, const ServerRank<double>*, const WorkerRank<double>*);

}  // namespace partita::parallel::server
