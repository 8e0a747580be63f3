// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <partita/comm/collectives/kernels.hpp>
#include <partita/comm/communicator.hpp>
#include <partita/comm/work.hpp>
#include <partita/core/types.hpp>

namespace partita::comm {

/// How a planned collective travels: on pointers that MPI can reach, which are ready when it starts.
template <class S>
class Transport {
 public:
  virtual ~Transport() = default;
  /// Posts what can be posted. `traffic`, if any, counts every message.
  virtual void start(const Exec& exec, const S* input, S* output, TrafficEntry* traffic) = 0;
  /// Goes on; with `wait` until the end. True when the output is ready (for what is enqueued on exec next).
  virtual bool advance(bool wait) = 0;
  /// Sees to it that nothing arrives any more, as far as MPI lets: nobody can take back its nonblocking collectives.
  virtual void withdraw() noexcept {}
  /// Start and advance to the end, where that can be done in a better way.
  virtual void run(const Exec& exec, const S* input, S* output, TrafficEntry* traffic) {
    start(exec, input, output, traffic);
    advance(true);
  }
  /// What this rank will do in one call.
  virtual Work work() const = 0;
};

/// One of MPI's own collectives. Nobody sees its messages: a call counts as one, with `payload_bytes`.
template <class S>
class MpiTransport final : public Transport<S> {
 public:
  using Requests = std::vector<MPI_Request>;
  /// post     makes the nonblocking calls, each with a request of its own
  /// block    makes the blocking ones, which MPI may have tuned better
  using Post = std::function<void(const S* input, S* output, Requests& requests)>;
  using Block = std::function<void(const S* input, S* output)>;
  MpiTransport(Post post, Block block, std::size_t most_requests, index_t payload_bytes, const Work& work);

  void start(const Exec& exec, const S* input, S* output, TrafficEntry* traffic) override;
  bool advance(bool wait) override;
  void run(const Exec& exec, const S* input, S* output, TrafficEntry* traffic) override;
  Work work() const override { return work_; }

 private:
  void count(TrafficEntry* traffic) const;

  Post post_;
  Block block_;
  Requests requests_;
  index_t payload_bytes_;
  Work work_;
};

/// Makes a transport on the side that MPI can reach: memory of Exec (`direct`), or the host's.
template <template <class, detail::Side> class T, class S, class... Args>
std::unique_ptr<Transport<S>> make_transport(bool direct, Args&&... args) {
  if (direct) return std::make_unique<T<S, detail::Side::exec>>(std::forward<Args>(args)...);
  return std::make_unique<T<S, detail::Side::host>>(std::forward<Args>(args)...);
}

}  // namespace partita::comm
