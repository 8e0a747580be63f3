// SPDX-License-Identifier: BSD-3-Clause
// Decks: TOML, then overrides, with zeros between them. A key of each kind is read.
#include <string>
#include <vector>

#include <partita/config/deck.hpp>

#include "support.hpp"

namespace partita::fuzz {
namespace {

using config::Deck;
using config::IntRange;
using config::RealRange;

enum class Way { ring, tree, mpi };
constexpr Named<Way> ways[] = {{"ring", Way::ring}, {"tree", Way::tree}, {"mpi", Way::mpi}};

void read_keys(Deck& deck) {
  Way way = Way::ring;
  deck.choice("parallel.allreduce", way, ways, "how gradients are summed");
  deck.integer("train.steps", 10, IntRange::at_least(1), {"gradient steps", "steps"});
  deck.integer("train.batch", 64, IntRange::extent(), "samples");
  deck.real("train.rate", 0.1, RealRange::above(0), "step size");
  deck.real("train.momentum", 0.0, {0, 1, false, true}, "share");
  deck.boolean("train.deterministic", false, "the same bits");
  deck.text("record.output", "runs/x.h5", "the record");
  deck.text("data.path", "", "a file");
  deck.integers("data.image", std::vector<index_t>{}, IntRange::extent(), "extents");
  deck.reals("server.shares", std::vector<double>{}, RealRange::at_least(0), "shares");
}

}  // namespace

void deck(Bytes input) {
  const std::string text(text_of(take_until_zero(input)));
  std::vector<std::string> overrides;
  while (!input.empty()) overrides.emplace_back(text_of(take_until_zero(input)));
  accepted("", [&] {
    Deck deck = Deck::parse(text, "x.toml", overrides, "fuzz");
    read_keys(deck);
    deck.finish();
    static_cast<void>(deck.help());
    // The resolved deck reproduces this one.
    const std::string resolved = deck.resolved();
    if (!accepted("", [&] {
          Deck again = Deck::parse(resolved, "again.toml", {}, "fuzz");
          read_keys(again);
          again.finish();
          if (again.config_hash() != deck.config_hash()) report("a resolved deck that says something else", resolved);
        }))
      report("a resolved deck that cannot be read", resolved);
  });
}

}  // namespace partita::fuzz
