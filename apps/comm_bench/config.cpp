// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/config/suggestion.hpp>

#include "operations.hpp"

namespace partita::comm_bench {
namespace {

constexpr index_t element_bytes = sizeof(float);
constexpr index_t most_bytes = index_t{1} << 40;

void check_size(const config::Deck& deck, const char* key, index_t bytes) {
  if (bytes % element_bytes != 0)
    deck.reject(key, fmt::format("{} byte are no whole number of floats", bytes),
                fmt::format("a multiple of {}", element_bytes));
}

/// "all", or some of the words with commas between them: empty stands for all.
std::vector<std::string> read_list(config::Deck& deck, const char* key, const std::vector<std::string>& words,
                                   const char* help) {
  const std::string text = deck.text(key, std::string("all"), help);
  if (text == "all") return {};
  std::vector<std::string> list;
  std::istringstream parts(text);
  for (std::string word; std::getline(parts, word, ',');) {
    word.erase(0, word.find_first_not_of(' '));
    word.erase(word.find_last_not_of(' ') + 1);
    if (std::ranges::find(words, word) == words.end())
      deck.reject(key, fmt::format("\"{}\" is none of its words", word),
                  fmt::format("\"all\", or some of {}", fmt::join(words, ",")));
    list.push_back(word);
  }
  if (list.empty()) deck.reject(key, "nothing", fmt::format("\"all\", or some of {}", fmt::join(words, ",")));
  return list;
}

bool holds(const std::vector<std::string>& list, std::string_view word) {
  return list.empty() || std::ranges::find(list, word) != list.end();
}

}  // namespace

Config read_config(driver::Session& session) {
  using config::IntRange;
  config::Deck& deck = session.deck();
  Config config;
  config.operations =
      read_list(deck, "bench.operation", operation_words(),
                "what to measure: \"all\", or words with commas between them, as in "
                "\"allreduce,broadcast\"; ping_pong and transfer are between the first and the last rank");
  config.algorithms = read_list(deck, "bench.algorithm", algorithm_words(),
                                "by which algorithms, where an operation has them: \"all\", or words with commas "
                                "between them; they are interleaved in random order");
  deck.integer("bench.min_bytes", config.min_bytes, {element_bytes, most_bytes}, {"smallest message", "byte"});
  deck.integer("bench.max_bytes", config.max_bytes, {element_bytes, most_bytes}, {"largest message", "byte"});
  deck.integer("bench.size_factor", config.size_factor, {2, 1 << 20}, "from one size to the next");
  deck.integer("bench.repeats", config.repeats, {1, 1'000'000}, "samples of each size and algorithm");
  deck.integer("bench.warmup", config.warmup, {0, 1'000'000},
               "samples of each size and algorithm that come first and do not count");
  deck.integer("bench.seed", config.seed, IntRange::at_least(0), "of the random order of algorithms");
  deck.boolean("bench.overlap", config.overlap, "measure how much of a collective hides behind computing as well");
  deck.integer("bench.slices", config.slices, {1, 10'000},
               "pieces that the computing is cut into, with progress of the collective between them");
  deck.real("bench.compute_us", config.compute_us, config::RealRange::at_least(0),
            {"computing to hide it behind; 0: as long as the collective takes alone", "us"});
  index_t chunk_kib = config.ring.chunk_bytes / 1024;
  deck.integer("parallel.chunk_kib", chunk_kib, {1, 1 << 20}, {"least message that a long part is cut into", "KiB"});
  config.ring.chunk_bytes = chunk_kib * 1024;
  deck.integer("parallel.most_chunks", config.ring.most_chunks, {1, 1 << 20}, "most messages that a part is cut into");
  deck.real("verify.least_speed", config.least_speed, config::RealRange::at_least(0),
            "exit 3 when from 64 KiB up the ring's all-reduce is slower than this share of MPI's speed");
  config.run = driver::read_common_options(deck, "comm_bench.h5");

  check_size(deck, "bench.min_bytes", config.min_bytes);
  check_size(deck, "bench.max_bytes", config.max_bytes);
  if (config.max_bytes < config.min_bytes)
    deck.reject("bench.max_bytes", fmt::format("{} byte", config.max_bytes),
                fmt::format("at least bench.min_bytes = {}", config.min_bytes));
  const auto measured = [&](const Operation& operation) {
    return config.wants(operation.word) && std::ranges::any_of(operation.algorithms, [&](const Algorithm& algorithm) {
             return config.wants_algorithm(algorithm.word);
           });
  };
  if (!config.wants(ping_pong_word) && std::ranges::none_of(operations(), measured))
    deck.reject("bench.algorithm", "none of the operations has such an algorithm", "\"all\", or one that they have");
  if (config.least_speed > 0 &&
      !(config.wants("allreduce") && config.wants_algorithm("mpi") && config.wants_algorithm("ring")))
    deck.reject("verify.least_speed", "it compares two all-reduces, and not both are measured",
                "allreduce in bench.operation, mpi and ring in bench.algorithm");
  return config;
}

std::vector<index_t> Config::sizes() const {
  std::vector<index_t> sizes;
  for (index_t bytes = min_bytes; bytes < max_bytes; bytes *= size_factor) sizes.push_back(bytes);
  sizes.push_back(max_bytes);
  return sizes;
}

bool Config::wants(std::string_view operation) const { return holds(operations, operation); }
bool Config::wants_algorithm(std::string_view algorithm) const { return holds(algorithms, algorithm); }

}  // namespace partita::comm_bench
