// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <partita/comm/mailbox.hpp>
#include <partita/core/clock.hpp>
#include <partita/core/index.hpp>
#include <partita/parallel/server/protocol.hpp>

namespace partita::parallel::server {

/// What a rank can be busy with.
enum class Doing { compute, pull, push, serve, update, idle };
inline constexpr int doings = 6;

/// Where the time of an interval went, on the rank's own clock.
struct Spent {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::array<double, doings> s = {};  ///< they exclude each other and add up to the interval
};

/// Splits a rank's time: it is always busy with one thing.
class TimeSplit {
 public:
  TimeSplit() : since_ns_(now_ns()) { spent_.begin_ns = since_ns_; }

  /// Returns what came before.
  Doing enter(Doing doing) {
    const std::int64_t now = now_ns();
    spent_.s[static_cast<std::size_t>(doing_)] += seconds(now - since_ns_);
    since_ns_ = now;
    return std::exchange(doing_, doing);
  }
  /// Since the last time.
  Spent take() {
    enter(doing_);
    Spent spent = spent_;
    spent.end_ns = since_ns_;
    spent_ = {.begin_ns = since_ns_};
    return spent;
  }

 private:
  Doing doing_ = Doing::idle;
  std::int64_t since_ns_;
  Spent spent_;
};

/// What servers and workers of the mpi engine tell each other; gradients and weights follow by themselves.
///
///     to a server    pull (of a sparse model with the rows that are wanted), push (with losses; the gradient follows),
///                    bye: the sender has nothing more to ask
///     to a worker    reply (weights follow), judge, stop; end: there is nothing more to do
///     both           gone: the answer to bye, and the last note
///     between servers and from workers to the first: halt, the run ends early; report, where time went; state, what a
///                    server keeps, at a version
struct Note {
  enum class Kind { pull, push, bye, reply, judge, stop, end, gone, halt, report, state };
  Kind kind = Kind::pull;
  int number = 0;  ///< of the worker or server that sends it
  index_t clock = 0, version = 0, update = -1, samples = 0;
  bool answers = false;  ///< end: the answer to a pull
  bool is_server = false;
  Spent spent = {};  ///< push, report: since the last one
};

/// The same on all ranks of a run. Server s is on rank s.
struct RankOptions {
  ProtocolOptions protocol = {};
  int workers = 1;
  int first_worker = 0;     ///< rank of worker 0; others follow
  index_t updates = 1;      ///< of the servers: then the run is over
  std::vector<Range> keys;  ///< of each server
  index_t first = 0;        ///< of a run that goes on: updates that were made before

  int servers() const { return static_cast<int>(keys.size()); }
  int rank_of_worker(int worker) const { return first_worker + worker; }
};

/// The two letter boxes of a rank, one for its server and one for its worker, and the tags of payload. All ranks make
/// theirs in the same order.
struct Post {
  explicit Post(const comm::Communicator& ranks)
      : comm(ranks),
        mail(ranks),
        to_server(ranks.claim_tag()),
        to_worker(ranks.claim_tag()),
        gradient(ranks.claim_tag()),
        weights(ranks.claim_tag()),
        pushed(ranks.traffic_entry("push", "server")),
        pulled(ranks.traffic_entry("pull", "server")) {}

  const comm::Communicator& comm;
  comm::Mailbox mail;
  int to_server, to_worker, gradient, weights;  ///< tags
  /// Gradients that this rank's worker sends; weights that its server sends, and rows that its worker asks for.
  comm::TrafficEntry *pushed, *pulled;
  TimeSplit time;
};

}  // namespace partita::parallel::server
