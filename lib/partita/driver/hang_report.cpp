// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/hang_report.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include <fmt/format.h>

#include <partita/core/clock.hpp>

namespace partita::driver {
namespace {

constexpr std::size_t most_lines = 20, most_names = 8;

bool contains(std::span<const int> ranks, int rank) {
  return std::find(ranks.begin(), ranks.end(), rank) != ranks.end();
}

// "rank 1", "ranks 0, 3", "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 12 more".
std::string names(std::span<const int> ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t k = 0; k < std::min(ranks.size(), most_names); ++k)
    text += fmt::format("{}{}", k > 0 ? ", " : "", ranks[k]);
  if (ranks.size() > most_names) text += fmt::format(" and {} more", ranks.size() - most_names);
  return text;
}

const char* where(const RankReport& of) { return of.phase.empty() ? of.doing.text : of.phase.text; }

// "allreduce 35 (ring, axis data)"
std::string call_of(const RankReport& of) {
  return fmt::format("{}{} ({}{}axis {})", of.operation.text, of.call < 0 ? "" : fmt::format(" {}", of.call),
                     of.algorithm.text, of.algorithm.empty() ? "" : ", ", of.axis.text);
}

std::string line(const RankReport& of) {
  const std::string begin = fmt::format("rank {}: step {}, {}", of.rank, of.step, where(of));
  if (!of.waits()) return fmt::format("{} since {:.1f} s, waits for nobody\n", begin, of.silent_s);
  return fmt::format("{}, {}, {} bytes, waits for {} since {:.1f} s\n", begin, call_of(of), of.bytes,
                     of.peer < 0 ? "the others" : fmt::format("rank {}", of.peer), of.waits_s);
}

// Ranks that wait for each other in a circle, by the peers that they name.
std::vector<int> circle(std::span<const RankReport> reports) {
  std::map<int, int> waits_for;
  for (const RankReport& of : reports)
    if (of.peer >= 0) waits_for[of.rank] = of.peer;
  for (const auto& [first, peer] : waits_for) {
    std::vector<int> chain{first};
    for (int at = peer; waits_for.contains(at); at = waits_for[at]) {
      const auto met = std::find(chain.begin(), chain.end(), at);
      if (met != chain.end()) {
        chain.erase(chain.begin(), met);
        std::sort(chain.begin(), chain.end());
        return chain;
      }
      chain.push_back(at);
    }
  }
  return {};
}

struct Blame {
  std::vector<int> ranks = {};
  std::string text = {};
  bool proven = true;  // by what another rank has seen
};

Blame of_those_that_compute(std::span<const RankReport> reports) {
  double longest = 0;
  for (const RankReport& of : reports)
    if (!of.waits()) longest = std::max(longest, of.silent_s);
  Blame blame;
  const RankReport* one = nullptr;
  for (const RankReport& of : reports)
    if (!of.waits() && of.silent_s >= longest / 2) {
      blame.ranks.push_back(of.rank);
      one = &of;
    }
  if (one == nullptr) return blame;
  blame.text = fmt::format("{} wait{} for nobody", names(blame.ranks), blame.ranks.size() == 1 ? "s" : "");
  if (blame.ranks.size() == 1)
    blame.text += fmt::format(" and {} in {} of step {} since {:.1f} s", "is", where(*one), one->step, one->silent_s);
  return blame;
}

// All are in collective calls of one axis, and not in the same.
Blame of_those_that_are_behind(std::span<const RankReport> reports) {
  Blame blame;
  const RankReport *least = &reports.front(), *most = least;
  for (const RankReport& of : reports) {
    if (of.call < 0 || std::string_view(of.axis.text) != reports.front().axis.text) return {};
    if (of.call < least->call) least = &of;
    if (of.call > most->call) most = &of;
  }
  const auto same = [](const RankReport& a, const RankReport& b) {
    return a.call == b.call && std::string_view(a.operation.text) == b.operation.text;
  };
  for (const RankReport& of : reports)
    if (same(of, *least)) blame.ranks.push_back(of.rank);
  if (blame.ranks.size() == reports.size()) return {};
  const RankReport& other = *std::find_if(reports.begin(), reports.end(), [&](const RankReport& of) {
    return least->call == most->call ? !same(of, *least) : of.call == most->call;
  });
  blame.text = fmt::format("{} {} in {}, rank {} in {}", names(blame.ranks), blame.ranks.size() == 1 ? "is" : "are",
                           call_of(*least), other.rank, call_of(other));
  return blame;
}

Blame of_those_that_do_not_answer(std::span<const RankReport> reports, std::span<const int> gone, int ranks) {
  std::vector<const RankReport*> by_rank(static_cast<std::size_t>(ranks), nullptr);
  for (const RankReport& of : reports)
    if (of.rank < ranks) by_rank[static_cast<std::size_t>(of.rank)] = &of;
  std::vector<int> all, silent;
  for (int rank = 0; rank < ranks; ++rank) {
    if (by_rank[static_cast<std::size_t>(rank)] != nullptr || contains(gone, rank)) continue;
    all.push_back(rank);
    const RankReport* const next = by_rank[static_cast<std::size_t>((rank + 1) % ranks)];
    if (next != nullptr && hears_nothing(*next)) silent.push_back(rank);
  }
  return {.ranks = silent.empty() ? all : silent, .text = {}, .proven = !silent.empty()};
}

Blame find_blame(std::span<const RankReport> reports, std::span<const int> gone, int ranks) {
  Blame blame = of_those_that_do_not_answer(reports, gone, ranks);
  // Who is late with an answer, because a machine is busy, is less to blame than who sits there and says so.
  const bool sits = std::any_of(reports.begin(), reports.end(), [](const RankReport& of) {
    return !of.waits() && of.limit_s > 0 && of.silent_s >= of.limit_s;
  });
  if (!blame.ranks.empty() && (blame.proven || !sits)) {
    blame.text = fmt::format("{} {} not answer", names(blame.ranks), blame.ranks.size() == 1 ? "does" : "do");
    return blame;
  }
  blame = of_those_that_compute(reports);
  if (!blame.ranks.empty() || reports.empty()) return blame;
  blame = of_those_that_are_behind(reports);
  if (!blame.ranks.empty()) return blame;
  blame.ranks = circle(reports);
  if (!blame.ranks.empty()) {
    blame.text = names(blame.ranks) + (blame.ranks.size() == 1 ? " waits for itself" : " wait for each other");
    return blame;
  }
  blame.text = "all ranks wait";
  return blame;
}

std::string lines_of(std::span<const RankReport> reports, const Blame& blame) {
  std::vector<const RankReport*> order;
  for (const RankReport& of : reports) order.push_back(&of);
  const auto distance = [&](const RankReport& of) {
    return contains(blame.ranks, of.rank) ? 0 : of.peer >= 0 && contains(blame.ranks, of.peer) ? 1 : 2;
  };
  std::stable_sort(order.begin(), order.end(), [&](const RankReport* a, const RankReport* b) {
    return std::pair(distance(*a), a->rank) < std::pair(distance(*b), b->rank);
  });
  std::string text;
  for (std::size_t k = 0; k < std::min(order.size(), most_lines); ++k) text += line(*order[k]);
  if (order.size() > most_lines) {
    const auto waiting =
        std::count_if(order.begin() + most_lines, order.end(), [](const auto* of) { return of->waits(); });
    text += fmt::format("and {} more ranks, {} of which wait for others\n", order.size() - most_lines, waiting);
  }
  return text;
}

}  // namespace

void RankReport::set(const comm::Wait& wait, std::int64_t now_ns) {
  if (wait.operation == nullptr) return;
  operation = ShortText(wait.operation);
  algorithm = ShortText(wait.algorithm);
  axis = ShortText(wait.axis);
  call = wait.call;
  bytes = wait.bytes;
  peer = wait.peer;
  waits_s = seconds(now_ns - wait.since_ns);
}

bool hears_nothing(const RankReport& of) {
  constexpr double said_s = 0.5;  // watchdogs speak that often, or oftener
  return of.heard_s > 3 * said_s;
}

namespace {

// All answer, and who makes no progress waits for others: some of them do.
bool goes_on(std::span<const RankReport> reports, const Blame& silent) {
  if (!silent.ranks.empty()) return false;
  const auto works = [](const RankReport& of) { return of.silent_s < of.limit_s / 2; };
  std::vector<RankReport> stuck;
  for (const RankReport& of : reports)
    if (!works(of)) stuck.push_back(of);
  return stuck.size() < reports.size() &&
         std::all_of(stuck.begin(), stuck.end(), [](const RankReport& of) { return of.waits(); }) &&
         circle(stuck).empty();
}

}  // namespace

Judgement judge(std::span<const RankReport> reports, std::span<const int> gone, int ranks) {
  const Blame blame = find_blame(reports, gone, ranks);
  Judgement judgement{.hangs = !goes_on(reports, of_those_that_do_not_answer(reports, gone, ranks)),
                      .blamed = blame.ranks,
                      .lines = lines_of(reports, blame),
                      .reason = blame.text};
  const auto longest = std::max_element(
      reports.begin(), reports.end(), [](const RankReport& a, const RankReport& b) { return a.silent_s < b.silent_s; });
  if (longest != reports.end())
    judgement.reason = fmt::format("no progress for {:.3g} s after step {}, in {}{}{}", longest->limit_s, longest->step,
                                   where(*longest), ranks > 1 ? ": " : "", ranks > 1 ? blame.text : "");
  return judgement;
}

}  // namespace partita::driver
