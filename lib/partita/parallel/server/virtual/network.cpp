// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/network.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::parallel::server {

Network::Network(const NetworkOptions& options, int servers)
    : options_(options), links_(static_cast<std::size_t>(servers)) {
  for (const auto& [name, value] :
       {std::pair("latency", options.latency_s), std::pair("bandwidth", options.byte_per_s),
        std::pair("service", options.service_s), std::pair("service of a byte", options.service_s_per_byte)})
    if (!(value >= 0)) refuse<UsageError>("Network", fmt::format("{} = {}", name, value), "at least 0");
}

bool Network::free() const {
  return options_.latency_s == 0 && options_.byte_per_s == 0 && options_.service_s == 0 &&
         options_.service_s_per_byte == 0;
}

double Network::to_server(int server, double now_s, index_t bytes) {
  double& free_s = links_[static_cast<std::size_t>(server)].in_free_s;
  free_s = std::max(now_s + options_.latency_s, free_s) + transfer_s(bytes);
  return free_s;
}

double Network::to_worker(int server, double now_s, index_t bytes) {
  double& free_s = links_[static_cast<std::size_t>(server)].out_free_s;
  free_s = std::max(now_s, free_s) + transfer_s(bytes);
  return free_s + options_.latency_s;
}

Service Network::serve(int server, double now_s, index_t bytes) {
  std::vector<double>& ends_s = links_[static_cast<std::size_t>(server)].ends_s;
  ends_s.erase(ends_s.begin(), std::upper_bound(ends_s.begin(), ends_s.end(), now_s));
  Service service;
  service.depth = std::ssize(ends_s);
  service.start_s = ends_s.empty() ? now_s : ends_s.back();
  service.end_s = service.start_s + options_.service_s + options_.service_s_per_byte * static_cast<double>(bytes);
  ends_s.push_back(service.end_s);
  return service;
}

}  // namespace partita::parallel::server
