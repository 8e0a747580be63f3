// SPDX-License-Identifier: BSD-3-Clause
// Decks, read as apps read theirs: byte 0 says how many ranks and for which part of the library; then TOML and
// overrides, with zeros between them.
#include <string>
#include <vector>

#include <partita/driver/run_options.hpp>
#include <partita/training/parallel_options.hpp>
#include <partita/training/pipeline_options.hpp>
#include <partita/training/server_options.hpp>
#include <partita/training/tensor_options.hpp>

#include "support.hpp"

namespace partita::fuzz {
namespace {

using config::Deck;

void read_keys(Deck& deck, int of, int ranks, bool names_files) {
  driver::read_run_options(deck, "x.h5");
  const training::TrainOptions train = training::read_train_options(deck);
  const training::ModelOptions model =
      training::read_model_options(deck, of == 1 ? training::ModelKind::cnn : training::ModelKind::mlp);
  const training::DataOptions data = training::read_data_options(deck, train.seed, model.reads());
  if (of == 0) {
    training::read_parallel_options(deck);
  } else if (of == 1) {
    training::check(deck, training::read_pipeline_mesh(deck, ranks), train, model, data);
  } else if (!names_files) {  // they have other targets
    training::read_server_options(deck, train, ranks);
  }
  training::check(deck, data, train, model, ranks);
}

}  // namespace

void keys(Bytes input) {
  const std::uint8_t how = take(input);
  const int ranks = 1 + how / 3 % 8;
  const std::string text(text_of(take_until_zero(input)));
  std::vector<std::string> overrides;
  while (!input.empty()) overrides.emplace_back(text_of(take_until_zero(input)));
  accepted("", [&] {
    Deck deck = Deck::parse(text, "x.toml", overrides, "fuzz");
    const bool names_files = deck.given("virtual.trace") || deck.given("virtual.calibration");
    read_keys(deck, how % 3, ranks, names_files);
    deck.finish();
    const std::string resolved = deck.resolved();
    if (!accepted("", [&] {
          Deck again = Deck::parse(resolved, "again.toml", {}, "fuzz");
          read_keys(again, how % 3, ranks, names_files);
          again.finish();
          if (again.config_hash() != deck.config_hash()) report("a resolved deck that says something else", resolved);
        }))
      report("a resolved deck that cannot be read", resolved);
  });
}

}  // namespace partita::fuzz
