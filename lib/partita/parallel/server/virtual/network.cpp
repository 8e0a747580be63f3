// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/network.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::parallel::server {

Network::Network(const NetworkOptions& options, int servers)
    : options_(options), links_(static_cast<std::size_t>(servers)) {
  for (const auto& [name, value] :
       {std::pair("latency", options.latency_s), std::pair("bandwidth", options.byte_per_s),
        std::pair("service", options.service_s), std::pair("service of a byte", options.service_s_per_byte),
        std::pair("update", options.update_s), std::pair("update of a byte", options.update_s_per_byte)})
    if (!(value >= 0) || std::isinf(value))
      refuse<UsageError>("Network", fmt::format("{} = {}", name, value), "at least 0");
}

bool Network::free() const {
  return options_.latency_s == 0 && options_.byte_per_s == 0 && options_.service_s == 0 &&
         options_.service_s_per_byte == 0 && options_.update_s == 0 && options_.update_s_per_byte == 0;
}

double Network::to_server(int server, double now_s, index_t bytes) {
  double& free_s = links_[static_cast<std::size_t>(server)].in_free_s;
  free_s = std::max(now_s + options_.latency_s, free_s) + transfer_s(bytes);
  return free_s;
}

double Network::to_worker(int server, double now_s, index_t bytes) {
  Link& link = links_[static_cast<std::size_t>(server)];
  link.out_free_s = std::max({now_s, link.updated_s, link.out_free_s}) + transfer_s(bytes);
  return link.out_free_s + options_.latency_s;
}

Service Network::serve(int server, double now_s, index_t bytes) {
  Link& link = links_[static_cast<std::size_t>(server)];
  std::vector<double>& ends_s = link.ends_s;
  ends_s.erase(ends_s.begin(), std::upper_bound(ends_s.begin(), ends_s.end(), now_s));
  Service service;
  service.depth = std::ssize(ends_s);
  service.start_s = std::max(ends_s.empty() ? now_s : ends_s.back(), link.updated_s);
  service.end_s = service.start_s + options_.service_s + options_.service_s_per_byte * static_cast<double>(bytes);
  ends_s.push_back(service.end_s);
  return service;
}

double Network::update(int server, double now_s, index_t bytes) {
  double& updated_s = links_[static_cast<std::size_t>(server)].updated_s;
  updated_s = std::max(now_s, updated_s) + options_.update_s + options_.update_s_per_byte * static_cast<double>(bytes);
  return updated_s;
}

std::optional<Service> Network::postpone(int server, double now_s, const Service& service) {
  double& updated_s = links_[static_cast<std::size_t>(server)].updated_s;
  if (updated_s <= now_s) return std::nullopt;
  Service later = service;
  later.start_s = updated_s;
  updated_s += service.end_s - service.start_s;
  later.end_s = updated_s;
  return later;
}

}  // namespace partita::parallel::server
