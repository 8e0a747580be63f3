// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <partita/comm/collectives/plan.hpp>

namespace partita::comm_bench {

/// What one rank has to do with a collective of some size: a plan, its buffers, what goes in and what must come out.
struct Call {
  std::unique_ptr<comm::Plan<float>> plan;
  bool in_place = true;
  index_t input = 0, output = 0;               ///< elements
  std::function<double(index_t)> given = {};   ///< element i of the input, or of both
  std::function<double(index_t)> wanted = {};  ///< element i of the output; NaN: whatever it likes
};

/// One way of doing it.
struct Algorithm {
  std::string_view word;
  /// For n elements; collective, in order.
  std::function<Call(const comm::Communicator&, index_t n, const comm::RingOptions&)> plan;
};

/// A collective: its name in decks and records, what its size means, what its bandwidth is on a link.
struct Operation {
  std::string_view word;
  std::string_view title;
  std::string_view bus_formula;        ///< of bus_factor
  double (*bus_factor)(double ranks);  ///< bus bandwidth = bytes / s x this
  std::vector<Algorithm> algorithms;
};

/// All that are plans: everything but ping-pong.
const std::vector<Operation>& operations();

constexpr std::string_view ping_pong_word = "ping_pong";

/// Of bench.operation and bench.algorithm.
std::vector<std::string> operation_words();
std::vector<std::string> algorithm_words();

}  // namespace partita::comm_bench
