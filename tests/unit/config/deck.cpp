// SPDX-License-Identifier: BSD-3-Clause
#include <limits>

#include <gtest/gtest.h>

#include <partita/config/deck.hpp>

#include <support/caught.hpp>

namespace partita::config::deck_tests {
namespace {

using namespace partita;
using namespace partita::config;
using partita::testing::caught;

enum class Allreduce { mpi, ring };
constexpr Named<Allreduce> allreduces[] = {{"mpi", Allreduce::mpi}, {"ring", Allreduce::ring}};

// What an app does: every getter once.
struct Settings {
  index_t steps = 0;
  double rate = 0;
  bool deterministic = false;
  std::string path;
  std::vector<index_t> hidden;
  Allreduce allreduce = Allreduce::mpi;
  std::string mode;

  explicit Settings(Deck& deck) {
    steps = deck.integer("train.steps", 20, {1, 1000}, {"gradient steps", "steps"});
    rate = deck.real("train.learning_rate", 0.1, RealRange::above(0), "step size");
    deterministic = deck.boolean("train.deterministic", false, "same bits on any number of ranks");
    path = deck.text("output.path", "run.h5", "record to write");
    hidden = deck.integers("model.hidden", std::vector<index_t>{32}, IntRange::at_least(1), "widths");
    deck.choice("parallel.allreduce", allreduce, allreduces, "algorithm");
    mode = deck.choice("run.mode", "train", {"train", "infer"}, "what to run");
  }
};

Deck parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return Deck::parse(text, "d.toml", overrides, "mlp_dp");
}

// The one message that an app would print for this deck.
std::string message(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return caught<UsageError>([&] {
    Deck deck = parse(text, overrides);
    Settings{deck};
    deck.finish();
  });
}

TEST(deck, an_empty_text_gives_the_defaults) {
  Deck deck = parse("");
  const Settings settings(deck);
  deck.finish();
  EXPECT_EQ(settings.steps, 20);
  EXPECT_EQ(settings.rate, 0.1);
  EXPECT_FALSE(settings.deterministic);
  EXPECT_EQ(settings.path, "run.h5");
  EXPECT_EQ(settings.hidden, std::vector<index_t>{32});
  EXPECT_EQ(settings.allreduce, Allreduce::mpi);
  EXPECT_EQ(settings.mode, "train");
  EXPECT_FALSE(deck.given("train.steps"));
}

TEST(deck, the_deck_beats_defaults_and_overrides_beat_the_deck) {
  const std::string text =
      "[train]\nsteps = 5\nlearning_rate = 2\n[parallel]\nallreduce = 'ring'\n[model]\nhidden = []\n";
  Deck deck = parse(text, {"train.steps=6", "train.steps=7", "train.deterministic=true"});
  const Settings settings(deck);
  deck.finish();
  EXPECT_EQ(settings.steps, 7) << "the last one";
  EXPECT_EQ(settings.rate, 2.0) << "an integer is a real number, too";
  EXPECT_TRUE(settings.deterministic);
  EXPECT_EQ(settings.allreduce, Allreduce::ring);
  EXPECT_TRUE(settings.hidden.empty());
  EXPECT_TRUE(deck.given("train.steps"));
  EXPECT_TRUE(deck.given("train.deterministic"));
  EXPECT_FALSE(deck.given("run.mode"));
}

TEST(deck, a_key_has_changed_where_its_value_is_not_its_default) {
  Deck deck = parse("[train]\nsteps = 20\nlearning_rate = 1\n[model]\nhidden = [32, 33]\n", {"run.mode=train"});
  const Settings settings(deck);
  EXPECT_TRUE(deck.given("train.steps"));
  EXPECT_FALSE(deck.changed("train.steps"));
  EXPECT_FALSE(deck.changed("run.mode"));
  EXPECT_TRUE(deck.changed("train.learning_rate"));
  EXPECT_TRUE(deck.changed("model.hidden"));
  EXPECT_FALSE(deck.changed("train.deterministic")) << "nobody gave it";
  EXPECT_FALSE(deck.changed("no.key"));
}

TEST(deck, a_key_that_is_bound_takes_its_default_from_the_option_and_puts_the_value_there) {
  struct Options {
    index_t steps = 3;
    double rate = 0.5;
    bool tied = true;
    std::string path = "a";
    std::vector<index_t> hidden = {1, 2};
    Allreduce allreduce = Allreduce::ring;
  };
  const auto read = [&](Deck deck) {
    Options options;
    deck.integer("steps", options.steps, {1, 9}, "");
    deck.real("rate", options.rate, {0, 1}, "");
    deck.boolean("tied", options.tied, "");
    deck.text("path", options.path, "");
    deck.integers("hidden", options.hidden, {}, "");
    EXPECT_EQ(deck.choice("allreduce", options.allreduce, allreduces, ""), options.allreduce);
    deck.finish();
    return std::pair(options, deck.resolved());
  };
  EXPECT_EQ(read(parse("")).second,
            "steps = 3\nrate = 0.5\ntied = true\npath = \"a\"\nhidden = [1, 2]\nallreduce = \"ring\"\n");
  const Options options =
      read(parse("steps = 4\nrate = 1\ntied = false\npath = 'b'\nhidden = []\nallreduce = 'mpi'\n")).first;
  EXPECT_EQ(options.steps, 4);
  EXPECT_EQ(options.rate, 1);
  EXPECT_FALSE(options.tied);
  EXPECT_EQ(options.path, "b");
  EXPECT_TRUE(options.hidden.empty());
  EXPECT_EQ(options.allreduce, Allreduce::mpi);
  EXPECT_EQ(caught<UsageError>([&] { read(parse("allreduce = 'rign'\n")); }),
            "d.toml:1: allreduce: given the string \"rign\": expected \"mpi\" or \"ring\"; did you mean ring?");
}

TEST(deck, tables_of_a_list_have_their_number_in_the_key) {
  const auto read = [](Deck deck) {
    std::vector<index_t> found;
    for (int k = 1; deck.given("fault." + std::to_string(k) + ".step"); ++k)
      found.push_back(deck.integer("fault." + std::to_string(k) + ".step", 0, IntRange::at_least(0), "when"));
    deck.finish();
    return std::pair(found, deck.resolved());
  };
  const auto [steps, text] = read(parse("[[fault]]\nstep = 7\n[[fault]]\nstep = 9\n"));
  EXPECT_EQ(steps, (std::vector<index_t>{7, 9}));
  EXPECT_EQ(read(parse(text)), std::pair(steps, text));  // resolved as tables fault.1 and fault.2
  EXPECT_EQ(read(parse("", {"fault=[{step=7},{step=9}]"})).first, steps);
  EXPECT_EQ(read(parse("[[fault]]\nstep = 7\n", {"fault.1.step=8"})).first, std::vector<index_t>{8});
  EXPECT_EQ(caught<UsageError>([&] { read(parse("[[fault]]\nstep = 7\n[[fault]]\nstep = -1\n")); }),
            "d.toml:4: fault.2.step: given the integer -1: expected an integer >= 0");
  EXPECT_EQ(caught<UsageError>([&] { read(parse("[[fault]]\nstep = 7\nsteps = 1\n")); }).substr(0, 50),
            "d.toml:3: fault.1.steps: unknown key; did you mean");
}

TEST(deck, unquoted_overrides_are_text_where_text_is_asked_for) {
  for (const char* word : {"7", "true", "2024-01-31", "x.h5", "1e3"}) {
    Deck deck = parse("", {std::string("output.path=") + word});
    EXPECT_EQ(Settings(deck).path, word);
  }
}

TEST(deck, unknown_keys_are_named_with_their_place) {
  const std::string hint = " (`mlp_dp --help` lists every key)";
  EXPECT_EQ(message("[train]\n# a comment\nstepz = 5\n"),
            "d.toml:3: train.stepz: unknown key; did you mean train.steps?" + hint);
  EXPECT_EQ(message("[train]\nallreduce = 'ring'\n"),
            "d.toml:2: train.allreduce: unknown key; did you mean parallel.allreduce?" + hint);
  EXPECT_EQ(message("", {"train.stepz=5"}), "--set train.stepz=5: unknown key; did you mean train.steps?" + hint);
  EXPECT_EQ(message("", {"train={stepz=5}"}),
            "--set train={stepz=5}: train.stepz: unknown key; did you mean train.steps?" + hint);
  EXPECT_EQ(message("[wall]\ncolour = 5\n"), "d.toml:2: wall.colour: unknown key" + hint);
  EXPECT_EQ(message("z = 1\na = 2\n"), "d.toml:1: z: unknown key" + hint) << "the first one";
  EXPECT_EQ(message("\"wa\\nll\" = 5\n"), "d.toml:1: wa?ll: unknown key" + hint) << "one line";
  EXPECT_EQ(message("[wall]\n"), "d.toml:1: wall: unknown key" + hint) << "also when its table is empty";
  EXPECT_EQ(message("[[train]]\nsteps = 1\n"),
            "d.toml:2: train.1.steps: unknown key; did you mean train.steps?" + hint);
  EXPECT_EQ(message("train = 5\n"), "d.toml:1: train: given the integer 5: expected a table of keys" + hint);
  EXPECT_EQ(message("[train]\n"), "nothing was thrown") << "an empty table of known keys";
}

TEST(deck, wrong_types_are_named_with_what_is_allowed) {
  EXPECT_EQ(message("train.steps = 'many'\n"),
            "d.toml:1: train.steps: given the string \"many\": expected an integer >= 1 and <= 1000, in steps");
  EXPECT_EQ(message("train.steps = 5.0\n"),
            "d.toml:1: train.steps: given the real number 5.0: expected an integer >= 1 and <= 1000, in steps");
  EXPECT_EQ(message("train.learning_rate = true\n"),
            "d.toml:1: train.learning_rate: given the boolean true: expected a real number > 0");
  EXPECT_EQ(message("train.deterministic = 1\n"),
            "d.toml:1: train.deterministic: given the integer 1: expected true or false");
  EXPECT_EQ(message("output.path = 7\n"), "d.toml:1: output.path: given the integer 7: expected a string");
  EXPECT_EQ(message("model.hidden = 7\n"),
            "d.toml:1: model.hidden: given the integer 7: expected a list of integers >= 1");
  EXPECT_EQ(message("model.hidden = [1, 2.5]\n"),
            "d.toml:1: model.hidden: given the list [ 1, 2.5 ]: expected a list of integers >= 1");
  EXPECT_EQ(message("run.mode = 7\n"), "d.toml:1: run.mode: given the integer 7: expected \"train\" or \"infer\"");
  EXPECT_EQ(message("", {"train.steps=x"}),
            "--set train.steps=x: given the string \"x\": expected an integer >= 1 and <= 1000, in steps");
  EXPECT_EQ(message("[train.steps]\n"),
            "d.toml:1: train.steps: given an empty table: expected an integer >= 1 and <= 1000, in steps");
}

TEST(deck, values_out_of_range_are_named_with_the_range) {
  EXPECT_EQ(message("train.steps = 0\n"),
            "d.toml:1: train.steps: given the integer 0: expected an integer >= 1 and <= 1000, in steps");
  EXPECT_EQ(message("", {"train.steps=1001"}),
            "--set train.steps=1001: given the integer 1001: expected an integer >= 1 and <= 1000, in steps");
  EXPECT_EQ(message("train.learning_rate = 0\n"),
            "d.toml:1: train.learning_rate: given the integer 0: expected a real number > 0");
  EXPECT_EQ(message("train.learning_rate = nan\n"),
            "d.toml:1: train.learning_rate: given the real number nan: expected a real number > 0");
  EXPECT_EQ(message("train.learning_rate = inf\n"),
            "d.toml:1: train.learning_rate: given the real number inf: expected a real number > 0");
  EXPECT_EQ(message("model.hidden = [4, 0]\n"),
            "d.toml:1: model.hidden: given the list [ 4, 0 ]: expected a list of integers >= 1");
  EXPECT_EQ(message("run.mode = 'trian'\n"),
            "d.toml:1: run.mode: given the string \"trian\": expected \"train\" or \"infer\"; did you mean train?");
  EXPECT_EQ(message("", {"parallel.allreduce=tree"}),
            "--set parallel.allreduce=tree: given the string \"tree\": expected \"mpi\" or \"ring\"");
}

TEST(deck, the_ends_of_a_range_belong_to_it_or_not) {
  EXPECT_EQ(message("train.steps = 1\n"), "nothing was thrown");
  EXPECT_EQ(message("train.steps = 1000\n"), "nothing was thrown");
  const RealRange half_open{0, 1, false, true};
  EXPECT_TRUE(half_open.contains(0));
  EXPECT_FALSE(half_open.contains(1));
  EXPECT_EQ(half_open.text(), " >= 0 and < 1");
  EXPECT_EQ((RealRange{0, 1, true, false}).text(), " > 0 and <= 1");
  EXPECT_EQ(RealRange{}.text(), "");
  EXPECT_FALSE(RealRange{}.contains(std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(
      (RealRange{0, std::numeric_limits<double>::infinity()}).contains(std::numeric_limits<double>::infinity()));
  EXPECT_EQ(IntRange{}.text(), "");
}

TEST(deck, a_key_without_default_must_be_given) {
  Deck deck = parse("");
  EXPECT_EQ(caught<UsageError>([&] { deck.integer("model.layers", std::nullopt, IntRange::at_least(1), "layers"); }),
            "d.toml: model.layers: missing: expected an integer >= 1");
  EXPECT_THROW(deck.text("data.path", std::nullopt, "folder"), UsageError);
  Deck given = parse("model.layers = 3\n");
  EXPECT_EQ(given.integer("model.layers", std::nullopt, IntRange::at_least(1), "layers"), 3);
}

TEST(deck, reject_points_at_the_key) {
  const auto rejected = [](Deck deck) {
    Settings{deck};
    return caught<UsageError>([&] { deck.reject("train.steps", "too many for this machine", "fewer"); });
  };
  EXPECT_EQ(rejected(parse("[train]\nsteps = 5\n")),
            "d.toml:2: train.steps: too many for this machine: expected fewer");
  EXPECT_EQ(rejected(parse("", {"train.steps=5"})), "--set train.steps=5: too many for this machine: expected fewer");
  EXPECT_EQ(rejected(parse("")), "d.toml: train.steps (default 20): too many for this machine: expected fewer");
  EXPECT_EQ(rejected(Deck::parse("", "", {})), "train.steps (default 20): too many for this machine: expected fewer");
}

TEST(deck, resolved_reproduces_the_run) {
  const std::string text =
      "top = 1\n[train]\nsteps = 5\nlearning_rate = 1e-3\n[output]\npath = 'a \"b\"\\c.h5'\n[model]\nhidden = [8, "
      "16]\n";
  Deck deck = parse(text, {"run.mode=infer"});
  Settings{deck};
  deck.integer("top", 0, {}, "a key without table");
  deck.integer("train.inner.depth", 3, {}, "a table in a table");
  deck.finish();
  EXPECT_EQ(deck.resolved(),
            "top = 1\n\n[train]\nsteps = 5\nlearning_rate = 0.001\ndeterministic = false\n\n[output]\npath = \"a "
            "\\\"b\\\"\\\\c.h5\"\n\n"
            "[model]\nhidden = [8, 16]\n\n[parallel]\nallreduce = \"mpi\"\n\n[run]\nmode = "
            "\"infer\"\n\n[train.inner]\ndepth = 3\n");

  Deck again = parse(deck.resolved());
  Settings{again};
  again.integer("top", 0, {}, "a key without table");
  again.integer("train.inner.depth", 3, {}, "a table in a table");
  again.finish();
  EXPECT_EQ(again.resolved(), deck.resolved());
  EXPECT_EQ(again.config_hash(), deck.config_hash());
}

TEST(deck, hash_tells_settings_apart_but_not_where_the_record_goes) {
  const auto hash = [](const std::string& text) {
    Deck deck = parse(text);
    Settings{deck};
    return deck.config_hash();
  };
  EXPECT_EQ(hash("").size(), 16u);
  EXPECT_EQ(hash(""), hash("train.steps = 20\n")) << "a default, spelt out";
  EXPECT_EQ(hash(""), hash("output.path = 'elsewhere.h5'\n"));
  EXPECT_NE(hash(""), hash("train.steps = 21\n"));
  EXPECT_NE(hash(""), hash("train.learning_rate = 0.10000000000000001e1\n"));
  // FNV-1a of "a = 1\n" by an independent implementation (Python, 5 lines).
  Deck deck = parse("a = 1\n");
  deck.integer("a", 0, {}, "");
  EXPECT_EQ(deck.config_hash(), "58ac462f1a79636e");
}

TEST(deck, help_lists_every_key_in_columns) {
  Deck deck = Deck::blank("mlp_dp");
  Settings{deck};
  deck.integer("model.layers", std::nullopt, {2, 9}, "layers");
  const std::string help = deck.help();
  const auto has = [&](const std::string& line) { return help.find("  " + line + "\n") != help.npos; };
  EXPECT_TRUE(has("train.steps          20        an integer >= 1 and <= 1000, in steps  gradient steps")) << help;
  EXPECT_TRUE(has("parallel.allreduce   \"mpi\"     \"mpi\" or \"ring\"                        algorithm")) << help;
  EXPECT_TRUE(has("model.layers         required  an integer >= 2 and <= 9               layers")) << help;
}

TEST(deck, a_blank_deck_reads_allowed_values) {
  Deck deck = Deck::blank("app");
  EXPECT_EQ(deck.integer("a", std::nullopt, {2, 9}, ""), 2);
  EXPECT_EQ(deck.integer("b", std::nullopt, {-9, -2}, ""), -2);
  EXPECT_EQ(deck.real("c", std::nullopt, {0, 0.5, true, false}, ""), 0.5);
  EXPECT_EQ(deck.text("d", std::nullopt, ""), "");
}

TEST(deck, keys_declared_in_two_ways_are_a_mistake_of_the_program) {
  Deck deck = parse("train.steps = 5\n");
  EXPECT_EQ(deck.integer("train.steps", 20, {}, "steps"), 5);
  EXPECT_EQ(deck.integer("train.steps", 20, {}, "steps"), 5) << "alike is fine";
  EXPECT_EQ(caught<Error>([&] { deck.integer("train.steps", 21, {}, "steps"); }),
            "deck: train.steps is declared twice, not alike");
  EXPECT_THROW(deck.real("train.steps", 20, {}, "steps"), Error);
  EXPECT_EQ(caught<Error>([&] { deck.integer("train.steps.warmup", 0, {}, ""); }),
            "deck: train.steps.warmup and train.steps: a key cannot be a table as well");
}

}  // namespace
}  // namespace partita::config::deck_tests
