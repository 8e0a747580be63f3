// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/faults.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <new>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <signal.h>

#include <partita/core/error.hpp>

namespace partita::driver {
namespace {

constexpr const char* keys[] = {"kind", "rank", "step", "phase", "seconds"};

bool damages(FaultKind kind) {
  return kind == FaultKind::nan || kind == FaultKind::bitflip || kind == FaultKind::input;
}

Fault read_fault(config::Deck& deck, const std::string& table) {
  Fault fault;
  deck.choice(table + "kind", fault.kind, fault_kinds, "drill: what happens to a rank");
  if (!deck.given(table + "kind")) deck.reject(table + "kind", "it is missing", "what happens to the rank");
  deck.integer(table + "rank", fault.rank, config::IntRange::at_least(0), "drill: to which");
  deck.integer(table + "step", fault.step, config::IntRange::count(), "drill: in which step, from 0");
  deck.text(table + "phase", fault.phase, "drill: when this phase begins; \"\" = ahead of the step");
  deck.real(table + "seconds", fault.seconds, {0, 3600}, {"drill, slow: what it takes longer each time", "s"});
  return fault;
}

}  // namespace

std::string Fault::text() const {
  return fmt::format("{} of rank {} in step {}{}{}", name_of(fault_kinds, kind), rank, step, phase.empty() ? "" : ", ",
                     phase);
}

std::vector<Fault> read_faults(config::Deck& deck) {
  const auto given = [&](const std::string& table) {
    return std::any_of(std::begin(keys), std::end(keys), [&](const char* key) { return deck.given(table + key); });
  };
  std::vector<Fault> faults;
  for (int k = 1; given(fmt::format("fault.{}.", k)); ++k)
    faults.push_back(read_fault(deck, fmt::format("fault.{}.", k)));
  return faults;
}

FaultDrill::FaultDrill(std::span<const Fault> all, int rank, index_t steps, std::span<const metrics::Phase> phases,
                       std::span<const std::int8_t> reads, std::function<void(FaultKind)> corrupt)
    : phases_(phases), corrupt_(std::move(corrupt)) {
  const auto ranks = static_cast<index_t>(reads.size());
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Fault& fault = all[k];
    const auto reject = [&](const char* key, const std::string& found, const std::string& expected) {
      refuse<UsageError>(fmt::format("fault.{}.{}", k + 1, key), found, expected);
    };
    if (fault.rank >= ranks)
      reject("rank", fmt::format("rank {} of {}", fault.rank, ranks), fmt::format("0 .. {}", ranks - 1));
    if (fault.step >= steps)
      reject("step", fmt::format("step {} of {}", fault.step, steps), fmt::format("0 .. {}", steps - 1));
    std::string names;
    for (const metrics::Phase& phase : phases) names += (names.empty() ? "" : ", ") + phase.name;
    if (!fault.phase.empty() && std::none_of(phases.begin(), phases.end(),
                                             [&](const metrics::Phase& phase) { return phase.name == fault.phase; }))
      reject("phase", fmt::format("\"{}\", which no step has", fault.phase), "one of " + names);
    if (damages(fault.kind) && !fault.phase.empty())
      reject("phase", "data and weights are damaged ahead of a step", "\"\"");
    if (damages(fault.kind) && !corrupt_)
      reject("kind", fmt::format("\"{}\", and this run has nothing to damage", name_of(fault_kinds, fault.kind)),
             "another kind");
    if (fault.kind == FaultKind::input && reads[static_cast<std::size_t>(fault.rank)] == 0)
      reject("rank", fmt::format("rank {}, which reads no numbers", fault.rank), "one that does, of a model that does");
    if (fault.rank == rank) mine_.push_back({fault});
  }
}

void FaultDrill::meet(index_t step, const std::string& phase) {
  for (std::size_t k = 0; k < mine_.size();) {
    const auto [fault, met_in] = mine_[k];
    if (fault.phase != phase || step < fault.step || step == met_in) {
      ++k;
      continue;
    }
    // A line with which times begin: studies measure from it how long it takes until somebody notices.
    if (met_in < 0) std::fputs(fmt::format("drill: {}\n", fault.text()).c_str(), stderr);
    if (fault.kind == FaultKind::slow)
      mine_[k++].met_in = step;
    else
      mine_.erase(mine_.begin() + static_cast<std::ptrdiff_t>(k));
    happen(fault);
  }
}

void FaultDrill::happen(const Fault& fault) const {
  switch (fault.kind) {
    case FaultKind::kill:
      ::kill(::getpid(), SIGKILL);
      break;
    case FaultKind::exception:
      throw Error("fault drill: " + fault.text());
    case FaultKind::hang:
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    case FaultKind::slow:
      std::this_thread::sleep_for(std::chrono::duration<double>(fault.seconds));
      break;
    case FaultKind::allocation:
      throw std::bad_alloc();
    case FaultKind::disk_full: {
      // Writes that would be beyond it fail as on a disk that is full, but for the name of the error.
      ::signal(SIGXFSZ, SIG_IGN);
      struct rlimit limit {};
      ::getrlimit(RLIMIT_FSIZE, &limit);
      limit.rlim_cur = 0;
      ::setrlimit(RLIMIT_FSIZE, &limit);
      break;
    }
    case FaultKind::nan:
    case FaultKind::bitflip:
    case FaultKind::input:
      corrupt_(fault.kind);
      break;
  }
}

}  // namespace partita::driver
