// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::parallel::server {

/// Of messages between workers and servers. All 0: they cost nothing.
struct NetworkOptions {
  double latency_s = 0;           ///< of a message, one way
  double byte_per_s = 0;          ///< of a server's link, in each direction; 0: without limit
  double service_s = 0;           ///< of a server's processor, for a message ...
  double service_s_per_byte = 0;  ///< ... and for each of its bytes
  double update_s = 0;            ///< for an update ...
  double update_s_per_byte = 0;   ///< ... and for each byte of the server's weights
};

/// What a server's processor does with a message.
struct Service {
  double start_s = 0, end_s = 0;
  index_t depth = 0;  ///< messages that wait or are served when it arrives
};

/// Queues in front of servers: each has a link in, a link out and a processor, which take one message after the other
/// in the order in which they are asked. A worker's own links never are what is short.
class Network {
 public:
  /// Throws   UsageError for numbers below 0, and infinite ones.
  Network(const NetworkOptions& options, int servers);

  bool free() const;
  /// When the last byte of a message that is sent now is at the server, or at the worker. To be asked in the order of
  /// time.
  double to_server(int server, double now_s, index_t bytes);
  double to_worker(int server, double now_s, index_t bytes);
  /// Of a message that is there now.
  Service serve(int server, double now_s, index_t bytes);
  /// The processor makes an update of so many bytes of weights: when it is done. What is served and what is sent to
  /// workers waits for that.
  double update(int server, double now_s, index_t bytes);
  /// Of a service that has just ended, where an update came ahead of it: when it is really served, after that.
  std::optional<Service> postpone(int server, double now_s, const Service& service);

 private:
  struct Link {
    double in_free_s = 0, out_free_s = 0;
    double updated_s = 0;        // when its last update is over, and what that has postponed
    std::vector<double> ends_s;  // of services that are not over, ascending
  };
  double transfer_s(index_t bytes) const {
    return options_.byte_per_s > 0 ? static_cast<double>(bytes) / options_.byte_per_s : 0;
  }

  NetworkOptions options_;
  std::vector<Link> links_;
};

}  // namespace partita::parallel::server
