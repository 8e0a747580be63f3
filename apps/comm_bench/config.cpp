// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

#include <fmt/format.h>

namespace partita::comm_bench {
namespace {

constexpr index_t element_bytes = sizeof(float);
constexpr index_t most_bytes = index_t{1} << 40;

constexpr Named<Operation> operations[] = {
    {"all", Operation::all}, {"ping_pong", Operation::ping_pong}, {"allreduce", Operation::allreduce}};
constexpr Named<Algorithm> algorithm_words[] = {
    {"both", Algorithm::both}, {"mpi", Algorithm::mpi}, {"ring", Algorithm::ring}};

void check_size(const config::Deck& deck, const char* key, index_t bytes) {
  if (bytes % element_bytes != 0)
    deck.reject(key, fmt::format("{} byte are no whole number of floats", bytes),
                fmt::format("a multiple of {}", element_bytes));
}

}  // namespace

Config read_config(driver::Session& session) {
  using config::IntRange;
  config::Deck& deck = session.deck();
  Config config;
  deck.choice("bench.operation", config.operation, operations,
              "what to measure; ping-pong is between the first and the last rank");
  deck.choice("bench.algorithm", config.algorithm, algorithm_words,
              "whose all-reduce: MPI_Allreduce, our ring, or both, interleaved in random order");
  deck.integer("bench.min_bytes", config.min_bytes, {element_bytes, most_bytes}, {"smallest message", "byte"});
  deck.integer("bench.max_bytes", config.max_bytes, {element_bytes, most_bytes}, {"largest message", "byte"});
  deck.integer("bench.size_factor", config.size_factor, {2, 1 << 20}, "from one size to the next");
  deck.integer("bench.repeats", config.repeats, {1, 1'000'000}, "samples of each size and algorithm");
  deck.integer("bench.warmup", config.warmup, {0, 1'000'000},
               "samples of each size and algorithm that come first and do not count");
  deck.integer("bench.seed", config.seed, IntRange::at_least(0), "of the random order of algorithms");
  index_t chunk_kib = config.ring.chunk_bytes / 1024;
  deck.integer("parallel.chunk_kib", chunk_kib, {1, 1 << 20}, {"least message of the ring", "KiB"});
  config.ring.chunk_bytes = chunk_kib * 1024;
  deck.integer("parallel.most_chunks", config.ring.most_chunks, {1, 1 << 20},
               "most messages that the ring cuts a segment into");
  deck.real("verify.least_speed", config.least_speed, config::RealRange::at_least(0),
            "exit 3 when from 64 KiB up the ring is slower than this share of MPI's speed");
  config.run = driver::read_common_options(deck, "comm_bench.h5");

  check_size(deck, "bench.min_bytes", config.min_bytes);
  check_size(deck, "bench.max_bytes", config.max_bytes);
  if (config.max_bytes < config.min_bytes)
    deck.reject("bench.max_bytes", fmt::format("{} byte", config.max_bytes),
                fmt::format("at least bench.min_bytes = {}", config.min_bytes));
  if (config.least_speed > 0 && (config.algorithm != Algorithm::both || config.operation == Operation::ping_pong))
    deck.reject("verify.least_speed", "it compares the two all-reduces, and not both are measured",
                "bench.algorithm = \"both\" and an operation with all-reduces");
  return config;
}

std::vector<index_t> Config::sizes() const {
  std::vector<index_t> sizes;
  for (index_t bytes = min_bytes; bytes < max_bytes; bytes *= size_factor) sizes.push_back(bytes);
  sizes.push_back(max_bytes);
  return sizes;
}

std::vector<comm::Allreduce> Config::algorithms() const {
  switch (algorithm) {
    case Algorithm::mpi:
      return {comm::Allreduce::mpi};
    case Algorithm::ring:
      return {comm::Allreduce::ring};
    case Algorithm::both:
      break;
  }
  return {comm::Allreduce::mpi, comm::Allreduce::ring};
}

}  // namespace partita::comm_bench
