// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/config/deck.hpp>
#include <partita/core/named.hpp>
#include <partita/nn/bag.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/key_value_cache.hpp>
#include <partita/nn/loss_head.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/parallel/spatial/spatial_axis.hpp>
#include <partita/parallel/sync_batchnorm.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>
#include <partita/training/dataset.hpp>

namespace partita::training {

enum class ModelKind { mlp, gpt, cnn, bag };
inline constexpr Named<ModelKind> model_kinds[] = {
    {"mlp", ModelKind::mlp}, {"gpt", ModelKind::gpt}, {"cnn", ModelKind::cnn}, {"bag", ModelKind::bag}};

/// The keys of [model], and train.recompute, which is a part of how a model is built. What the data say (features,
/// image, tokens, classes) is filled in by make_model.
struct ModelOptions {
  ModelKind kind = ModelKind::mlp;
  nn::MlpShape mlp;  ///< of a bag, what is behind the table
  nn::GptShape gpt;
  nn::CnnShape cnn;
  index_t embedding = 16;       ///< bag: width of the table
  bool sync_batchnorm = false;  ///< statistics of all ranks' rows

  bool language() const { return kind == ModelKind::gpt; }
  SampleKind reads() const {
    return kind == ModelKind::bag ? SampleKind::bags : language() ? SampleKind::sequences : SampleKind::numbers;
  }
  bool recomputes() const { return gpt.recompute != nn::Recompute::none; }
};

/// Declares and reads them; `kind` is the default.
/// Throws   UsageError, as reading a key does, for keys that do not fit each other.
ModelOptions read_model_options(config::Deck& deck, ModelKind kind);

/// That of a GPT on such samples.
nn::GptShape gpt_shape(const ModelOptions& options, const SampleShape& sample);
/// That of a bag.
nn::BagShape bag_shape(const ModelOptions& options, const SampleShape& sample);

/// The layers of a model, not yet built, and the classes of which it has scores: all of them, unless it is a part of a
/// model.
template <class Scalar>
struct ModelPlan {
  nn::LayerList<Scalar> layers;
  nn::OutputShape output;
  Slice classes;

  nn::Model<Scalar> make(const nn::ModelOptions& how) const { return nn::Model<Scalar>(layers, output, how); }
};

/// Between which ranks a model is split, and how: units refer to these. Nothing: a rank has all of it.
template <class Scalar>
struct Splits {
  parallel::TensorAxis<Scalar>* tensor = nullptr;  ///< ranks that hold the weights of one replica between them
  parallel::SpatialAxis<Scalar>* rows = nullptr;   ///< ranks that share the rows of each image
  /// Ranks whose rows are behind the statistics of a batch norm: with `rows`, or model.sync_batchnorm. Else they are
  /// those of a rank's own rows, which will do for shapes and for inference.
  parallel::BatchNormAxis* norms = nullptr;
};

/// With a cache, which has room for the tokens of a sample, it is a GPT that goes on for `tokens` more of them at a
/// time.
///
/// Throws   UsageError where a model cannot be built for such samples, its shapes do not fit, or it cannot be split.
template <class Scalar>
ModelPlan<Scalar> plan_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how,
                             const Splits<std::type_identity_t<Scalar>>& over = {});
template <class Scalar>
ModelPlan<Scalar> plan_cached_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how,
                                    parallel::TensorAxis<Scalar>* axis, nn::KeyValueCache<Scalar>& cache,
                                    index_t tokens);

template <class Scalar>
nn::Model<Scalar> make_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how) {
  return plan_model<Scalar>(options, sample, how).make(how);
}

/// The loss of such a model: parallel over the vocabulary where that is split.
template <class Scalar>
std::unique_ptr<nn::LossHead<Scalar>> make_head(kernels::Loss loss, const nn::Model<Scalar>& model,
                                                const ModelPlan<Scalar>& plan,
                                                parallel::TensorAxis<Scalar>* axis = nullptr);

/// "mlp 784-512-256-10", "gpt of 4 blocks, width 256, 4 heads, 64 tokens, vocabulary 64", "bag of 16
/// keys, table 1024 x 16, mlp 16-64-10".
std::string to_string(const ModelOptions& options, const SampleShape& sample);

}  // namespace partita::training
