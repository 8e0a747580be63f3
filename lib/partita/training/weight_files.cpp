// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/weight_files.hpp>

#include <filesystem>
#include <map>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/io/safetensors.hpp>
#include <partita/nn/gpt2_layout.hpp>
#include <partita/training/key_problem.hpp>

namespace partita::training {
namespace {

constexpr const char* load_flag = "--load-weights";
constexpr const char* save_flag = "--save-weights";
constexpr const char* save_batch_flag = "--save-batch";

void check_model(const char* flag, const ModelOptions& model) {
  if (model.kind != ModelKind::gpt)
    refuse<UsageError>(
        flag,
        fmt::format("model.kind = \"{}\", of which GPT-2's layout says nothing", name_of(model_kinds, model.kind)),
        "model.kind = \"gpt\"");
}

void check_names(const WeightFiles& files, const std::string& record) {
  std::map<std::filesystem::path, const char*> taken = {
      {std::filesystem::absolute(record).lexically_normal(), "output.path"}};
  for (const auto& [flag, name] : {std::pair(save_flag, &files.save), std::pair(save_batch_flag, &files.save_batch)}) {
    if (!*name) continue;
    const auto [at, added] = taken.emplace(std::filesystem::absolute(**name).lexically_normal(), flag);
    if (!added) refuse<UsageError>(flag, fmt::format("{} is what {} writes, too", **name, at->second), "another name");
  }
}

}  // namespace

std::vector<config::Option> WeightFiles::options() {
  return {{load_flag, "FILE", "gpt: begin with the weights of this file of safetensors, in GPT-2's layout", &load},
          {save_flag, "FILE", "gpt: write the weights there when the run has passed, in GPT-2's layout", &save},
          {save_batch_flag, "FILE",
           "gpt: write tokens, labels, logits and loss of one forward pass on held-out samples when the run has passed",
           &save_batch}};
}

void check(const WeightFiles& files, const comm::Communicator& world, const ModelOptions& model,
           const std::string& record) {
  for (const auto& [flag, name] : {std::pair(load_flag, &files.load), std::pair(save_flag, &files.save),
                                   std::pair(save_batch_flag, &files.save_batch)}) {
    if (!*name) continue;
    check_model(flag, model);
    if (name != &files.save_batch) naming(flag, [&] { nn::gpt2_tensors(model.gpt); });
  }
  world.on_root([&] {
    check_names(files, record);
    if (files.load) naming(load_flag, [&] { const io::SafeTensorsFile readable(*files.load); });
    if (files.save) naming(save_flag, [&] { io::try_safetensors(*files.save); });
    if (files.save_batch) naming(save_batch_flag, [&] { io::try_safetensors(*files.save_batch); });
  });
}

}  // namespace partita::training
