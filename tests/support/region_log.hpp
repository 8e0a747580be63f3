// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <Kokkos_Core.hpp>

namespace partita::test {

/// The regions that Kokkos Tools are told of while one of these lives: names in order, and how deep they ended.
class RegionLog {
 public:
  RegionLog() {
    current = this;
    Kokkos::Tools::Experimental::set_push_region_callback([](const char* name) {
      current->names.emplace_back(name);
      ++current->open;
    });
    Kokkos::Tools::Experimental::set_pop_region_callback([] { --current->open; });
  }
  ~RegionLog() { Kokkos::Tools::Experimental::set_callbacks({}); }
  RegionLog(const RegionLog&) = delete;
  RegionLog& operator=(const RegionLog&) = delete;

  std::vector<std::string> names;
  int open = 0;  ///< regions that were pushed and not popped

 private:
  inline static RegionLog* current = nullptr;  // the callbacks of Kokkos Tools take no context of the caller's
};

}  // namespace partita::test
