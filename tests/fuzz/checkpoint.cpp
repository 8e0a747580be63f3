// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints. Byte 0 says what happens to a valid one: 0, 1 (mod 4) changes that keep it HDF5, under a seal that is
// right; 2 bytes behind the seal that are others, or not there, which the seal must tell; 3 another seal.
#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <zlib.h>

#include <partita/training/checkpoint_facts.hpp>

#include <support/temporary_folder.hpp>
#include "hdf5_mutations.hpp"

namespace partita::fuzz {
namespace {

constexpr std::size_t seal_bytes = 512;

struct Model {
  Model() {
    weights.add("linear0.weight", {index_t{3}, index_t{2}}, {});
    weights.add("linear0.bias", {index_t{3}}, {});
    statistics.add("norm0.mean", {index_t{3}}, {});
    train.update.optimizer.kind = kernels::Optimizer::adam;
  }
  nn::ParameterTable weights, statistics;
  training::TrainOptions train;
  std::string deck = "[train]\nsteps = 6\n[model]\nhidden = [3]\n";
};

void write_checkpoint(const std::string& path) {
  const Model model;
  const std::vector<double> losses = {2.5, 1.25};
  io::CheckpointWriter writer =
      training::begin_checkpoint(path, model.train, {model.deck, 2, losses, {2, {1., 1, 0}}, "allreduce/ring", 2});
  const auto tensor = [&](const char* group, const nn::Parameter& of) {
    writer.tensor(group, of.name, training::shape_of(of),
                  std::vector<float>(static_cast<std::size_t>(of.range.extent), 0.5F));
  };
  for (const nn::Parameter& of : model.weights.parameters())
    for (const auto& group : training::checkpoint_groups) tensor(group.name, of);
  for (const nn::Parameter& of : model.statistics.parameters()) tensor(training::checkpoint_statistics, of);
  writer.finish();
}

// What a run reads that goes on from it. Whether it can.
bool resumes(const std::string& path, const Model& model) {
  return accepted(path, [&] {
    const io::CheckpointFile file(path);
    const training::CheckpointState state =
        training::read_state(file, {model.train, model.deck, 6, model.weights, model.statistics});
    if (state.done < 1 || state.done > 5 || std::ssize(state.losses) != state.done || state.counters.step < 0)
      report("a state that no run has");
    for (const std::string& key : state.differs) require_clear("", key);
    const auto read = [&](const char* group, const nn::Parameter& tensor) {
      if (std::ssize(file.tensor(group, tensor.name, training::shape_of(tensor))) != tensor.range.extent)
        report("a tensor of another size", tensor.name);
    };
    for (const nn::Parameter& tensor : model.weights.parameters())
      for (const auto& group : training::checkpoint_groups) read(group.name, tensor);
    for (const nn::Parameter& tensor : model.statistics.parameters()) read(training::checkpoint_statistics, tensor);
  });
}

std::string sealed(std::string bytes) {
  const auto* rest = reinterpret_cast<const Bytef*>(bytes.data() + seal_bytes);
  std::string seal = fmt::format("Partita checkpoint 1\nbytes {}\ncrc32 {:08x}\n", bytes.size(),
                                 ::crc32(0, rest, static_cast<uInt>(bytes.size() - seal_bytes)));
  seal.resize(seal_bytes);
  return bytes.replace(0, seal_bytes, seal);
}

// Three bytes a place: where, and what is changed there. An odd first one: only the bytes before are left.
std::string damaged(std::string bytes, Bytes input) {
  const bool cut = take(input) % 2 == 1;
  for (bool first = true; !input.empty(); first = false) {
    const std::size_t at = seal_bytes + (take(input) * std::size_t{256} + take(input)) % (bytes.size() - seal_bytes);
    if (first && cut) return bytes.substr(0, at);
    bytes[at] = static_cast<char>(bytes[at] ^ take(input));
  }
  return bytes;
}

std::string with_seal(std::string bytes, Bytes input) {
  const std::string_view seal = text_of(input.first(std::min(input.size(), seal_bytes)));
  return bytes.replace(0, seal.size(), seal);
}

}  // namespace

void checkpoint(Bytes input) {
  static const Model model;
  static const BaseFile base(write_checkpoint);
  static const testing::TemporaryFolder folder;  // in memory, as that of records
  const std::string path = folder / "x.h5";
  const int how = take(input) % 4;
  const bool as_it_was = input.empty();
  if (how <= 1) {
    base.write_changed(path, input);
    write_file(path, sealed(read_file(path)));
  } else {
    write_file(path, how == 2 ? damaged(base.bytes(), input) : with_seal(base.bytes(), input));
  }
  const bool whole = resumes(path, model);
  if (as_it_was && !whole) report("a checkpoint that cannot be read");
  if (how == 2 && whole && read_file(path) != base.bytes()) report("a damaged checkpoint that is read");
  accepted(path, [&] { io::try_checkpoint(path); });
}

}  // namespace partita::fuzz
