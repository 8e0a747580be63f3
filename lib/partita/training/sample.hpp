// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <partita/config/command_line.hpp>
#include <partita/training/workload.hpp>

namespace partita::training {

/// What is drawn from a language model.
struct SampleRequest {
  index_t tokens = 0;
  std::string prompt = "\n";  ///< what they follow: a token each byte
  double temperature = 1;     ///< 0: the likeliest
};

/// The options of an app whose GPT may write: "--sample N", and how.
///
///     training::SampleFlags flags;
///     ... flags.options() and those of others are handed to driver::Session ...
///     flags.request(config.model, config.data.synthetic.classes)
struct SampleFlags {
  std::optional<std::string> tokens, prompt, temperature;

  /// They refer to this object.
  std::vector<config::Option> options();
  /// What was asked for, if anything was; V: words of the model's vocabulary.
  /// Throws   UsageError "--sample: ..." for what is no number of its kind, another model than a GPT, a prompt of bytes
  ///          that the vocabulary has not.
  std::optional<SampleRequest> request(const ModelOptions& model, index_t V) const;
};

/// Draws one token after the other from the weights that the next step would read, split as they are: each rank finds
/// the best of its words, and the best of those is the token (kernels::sample). Words from 256 on, which are no bytes,
/// are not drawn. After model.tokens tokens the model begins anew with the last half of them.
///
/// Runs     collective over the world, each replica drawing the same; allocates; fences. Calls `alive` for each token.
/// Traffic  forward passes of one token; 16 bytes a rank and token.
/// Bits     a function of weights, train.seed and request; in deterministic mode on any number of ranks.
template <class Scalar>
std::string sample(const SampleRequest& request, const Parts<Scalar>& parts, const std::function<void()>& alive);

/// Makes `work` write the sample to standard output when a run has passed, after what else it saves: a line "sample of
/// N bytes:", the bytes, a line's end. All that is referred to must outlive the workload.
template <class Scalar>
void attach(const std::optional<SampleRequest>& request, const Parts<Scalar>& parts, driver::Workload& work);

}  // namespace partita::training
