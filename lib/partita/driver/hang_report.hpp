// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <partita/comm/waits.hpp>
#include <partita/core/index.hpp>
#include <partita/core/short_text.hpp>

namespace partita::driver {

/// What a rank says of itself when some rank of the job makes no progress. Travels as bytes.
struct RankReport {
  int rank = 0;
  index_t step = 0;
  ShortText doing = {};  ///< "an evaluation"
  ShortText phase = {};  ///< within a step: "forward_linear"; empty: in none
  double silent_s = 0;   ///< since its last sign of life
  double limit_s = 0;    ///< how long it may go without one
  double heard_s = 0;    ///< since the watchdog of the rank before it has said something

  ShortText operation = {};  ///< that it waits in; empty: it waits for nobody
  ShortText algorithm = {}, axis = {};
  index_t call = -1, bytes = 0;
  int peer = -1;  ///< rank of the world that it waits for; -1: all of the axis
  double waits_s = 0;

  bool waits() const { return !operation.empty(); }
  /// Fills in what it waits for.
  void set(const comm::Wait& wait, std::int64_t now_ns);
};

/// Whether it has heard nothing of the rank before it for so long that that one is not late, but silent.
bool hears_nothing(const RankReport& of);

/// Who holds a job up, and what the user is told.
struct Judgement {
  bool hangs = true;        ///< false: who makes no progress waits for ranks that do
  std::vector<int> blamed;  ///< ranks; none where all wait and nobody is behind
  std::string lines;        ///< of ranks: those that are blamed, those that wait for them, others
  std::string reason;       ///< one line: "no progress for 3 s after step 17, in exchange: rank 2 does not answer"
};

/// From the reports of those ranks that answered, of so many in all (0: a rank tells of itself alone). `gone`: ranks
/// that are through with the run and owe no answer.
///
/// Blamed are the ranks that do not answer; of these alone those of which the next rank has heard nothing either, if
/// there are some: others are late, and nobody is blamed for that where a rank that answers is silent for its limit and
/// waits for nobody. Where all do, it is those that wait for nobody, of these the ones that are
/// silent for long; where all wait, those in a circle of ranks that wait for each other, or those that are in an
/// earlier call of an axis than others. Where all answer, some make progress, and all others wait, but not in a circle,
/// nobody hangs.
Judgement judge(std::span<const RankReport> reports, std::span<const int> gone, int ranks);

}  // namespace partita::driver
