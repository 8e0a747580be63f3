// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/config/deck.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/training/dataset.hpp>

namespace partita::training {

enum class ModelKind { mlp, gpt, cnn };

/// The keys of [model], and train.recompute, which is a part of how a model is built. What the data say (features,
/// image, tokens, classes) is filled in by make_model.
struct ModelOptions {
  ModelKind kind = ModelKind::mlp;
  nn::MlpShape mlp;
  nn::GptShape gpt;
  nn::CnnShape cnn;

  bool language() const { return kind == ModelKind::gpt; }
};

/// Declares and reads them; `kind` is the default.
/// Throws   UsageError, as reading a key does, for keys that do not fit each other.
ModelOptions read_model_options(config::Deck& deck, ModelKind kind);

/// The layers of a model, not yet built.
template <class Scalar>
struct ModelPlan {
  nn::LayerList<Scalar> layers;
  nn::OutputShape output;
};

/// Throws   UsageError where a model cannot be built for such samples, or its own shapes do not fit.
template <class Scalar>
ModelPlan<Scalar> plan_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how);
template <class Scalar>
nn::Model<Scalar> make_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how) {
  const ModelPlan<Scalar> plan = plan_model<Scalar>(options, sample, how);
  return nn::Model<Scalar>(plan.layers, plan.output, how);
}

/// "mlp 784-512-256-10", "gpt of 4 blocks, width 256, 4 heads, 64 tokens, vocabulary 64".
std::string to_string(const ModelOptions& options, const SampleShape& sample);

}  // namespace partita::training
