// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/model_options.hpp>

#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/core/error.hpp>
#include <partita/nn/cached.hpp>
#include <partita/parallel/spatial/between.hpp>
#include <partita/parallel/tensor/between.hpp>
#include <partita/parallel/tensor/slices.hpp>
#include <partita/parallel/tensor/vocabulary_loss.hpp>

namespace partita::training {
namespace {

using config::IntRange;
using kernels::Activation;

constexpr Named<nn::Recompute> recomputes[] = {
    {"none", nn::Recompute::none}, {"attention", nn::Recompute::attention}, {"block", nn::Recompute::block}};
constexpr Named<nn::CnnKind> cnn_kinds[] = {{"resnet", nn::CnnKind::resnet}, {"vgg", nn::CnnKind::vgg}};

// Whose hidden layers model.hidden says.
void read_hidden(config::Deck& deck, ModelOptions& options) {
  if (options.language())
    deck.integer("model.hidden", options.gpt.F, IntRange::extent(0),
                 "gpt: hidden columns of a block's MLP; 0 = 4 model.width");
  else
    deck.integers("model.hidden", options.mlp.hidden, IntRange::extent(),
                  "mlp, bag: widths of the hidden layers; [] = a linear classifier");
}

// Of a CNN it is part of the blocks.
void read_activation(config::Deck& deck, ModelOptions& options) {
  deck.choice("model.activation", options.language() ? options.gpt.activation : options.mlp.activation,
              named({Activation::relu, Activation::tanh, Activation::sigmoid, Activation::gelu, Activation::gelu_tanh,
                     Activation::silu}),
              "mlp, bag: activation of the hidden layers; gpt: of a block's hidden columns");
}

void read_gpt(config::Deck& deck, nn::GptShape& shape) {
  using kernels::AttentionAlgorithm;
  deck.integer("model.blocks", shape.blocks, {1, 4096}, "gpt: transformer blocks");
  shape.C = 64;
  deck.integer("model.width", shape.C, IntRange::extent(), "gpt: numbers of a token between blocks");
  deck.integer("model.heads", shape.H, IntRange::extent(), "gpt: attention heads; they divide model.width");
  deck.real("model.dropout", shape.dropout, {0, 1, false, true},
            "gpt: share of numbers dropped after the embedding and at the end of each branch");
  deck.boolean("model.tied", shape.tied, "gpt: the head multiplies with the token embedding");
  shape.rms_norm = deck.choice("model.norm", std::string("layer"), {"layer", "rms"}, "gpt: kind of norm") == "rms";
  deck.choice("model.attention", shape.attention, named({AttentionAlgorithm::blockwise, AttentionAlgorithm::plain}),
              "gpt: online softmax over blocks of keys, or all scores of a head at once");
}

void read_cnn(config::Deck& deck, nn::CnnShape& shape) {
  deck.choice("model.cnn", shape.kind, cnn_kinds,
              "cnn: basic blocks with shortcuts, or plain convolutions with pooling between groups");
  deck.integers("model.channels", shape.width, IntRange::extent(), "cnn: channels of each group");
  deck.integer("model.depth", shape.depth, {1, 4096}, "cnn: blocks (resnet) or convolutions (vgg) of a group");
  deck.integer("model.norm_groups", shape.groups, IntRange::extent(0), "cnn: groups of a group norm; 0 = batch norm");
}

void read_sync_batchnorm(config::Deck& deck, ModelOptions& options) {
  deck.boolean("model.sync_batchnorm", options.sync_batchnorm,
               "cnn: statistics of a batch norm over the rows of all data-parallel ranks, not of each rank's own");
  if (options.sync_batchnorm && options.kind == ModelKind::cnn && options.cnn.groups > 0)
    deck.reject("model.sync_batchnorm", fmt::format("model.norm_groups = {} leaves no batch norm", options.cnn.groups),
                "false, or model.norm_groups = 0");
}

void read_recompute(config::Deck& deck, ModelOptions& options) {
  nn::Recompute& what = options.gpt.recompute;
  deck.choice(
      "train.recompute", what, recomputes,
      "what backward computes again instead of keeping it: nothing, attention branches (gpt), or blocks (gpt, cnn)");
  const std::string found = fmt::format("model.kind = \"{}\" has no ", name_of(model_kinds, options.kind));
  if (options.kind != ModelKind::gpt && options.kind != ModelKind::cnn && what != nn::Recompute::none)
    deck.reject("train.recompute", found + "blocks", "\"none\"");
  if (options.kind == ModelKind::cnn && what == nn::Recompute::attention)
    deck.reject("train.recompute", found + "attention", "\"none\" or \"block\"");
  options.cnn.recompute = what;
}

// A key that says nothing of this kind of model: its default may stand in a deck, as resolved ones have it.
void refuse_keys_of_others(const config::Deck& deck, ModelKind kind) {
  constexpr std::pair<const char*, ModelKind> keys[] = {
      {"model.blocks", ModelKind::gpt},      {"model.width", ModelKind::gpt}, {"model.heads", ModelKind::gpt},
      {"model.dropout", ModelKind::gpt},     {"model.tied", ModelKind::gpt},  {"model.norm", ModelKind::gpt},
      {"model.attention", ModelKind::gpt},   {"model.cnn", ModelKind::cnn},   {"model.channels", ModelKind::cnn},
      {"model.norm_groups", ModelKind::cnn}, {"model.depth", ModelKind::cnn}, {"model.sync_batchnorm", ModelKind::cnn},
      {"model.embedding", ModelKind::bag}};
  const auto must_be_default = [&](const char* key, const std::string& whose) {
    if (deck.changed(key))
      deck.reject(key, fmt::format("it says nothing of model.kind = \"{}\"", name_of(model_kinds, kind)),
                  fmt::format("its default, or {}", whose));
  };
  for (const auto& [key, owner] : keys)
    if (owner != kind) must_be_default(key, fmt::format("model.kind = \"{}\"", name_of(model_kinds, owner)));
  if (kind == ModelKind::cnn)
    for (const char* key : {"model.activation", "model.hidden"}) must_be_default(key, "another model.kind");
}

// What a model's text says of it.
std::string recomputed(nn::Recompute what) {
  return what == nn::Recompute::none ? "" : fmt::format(", {} recomputed", name_of(recomputes, what));
}

std::string perceptron(index_t features, const std::vector<index_t>& hidden, index_t classes) {
  return hidden.empty() ? fmt::format("mlp {}-{}", features, classes)
                        : fmt::format("mlp {}-{}-{}", features, fmt::join(hidden, "-"), classes);
}

// Which part of a model is here, and what stands between its units.
template <class Scalar>
struct Here {
  explicit Here(parallel::TensorAxis<Scalar>* axis) {
    if (axis == nullptr) return;
    parts = axis->ranks().size();
    mine = axis->ranks().rank();
    sequence = axis->options().sequence;
    units_of_axis.emplace(*axis);
  }
  const nn::Between<Scalar>& between() const { return units_of_axis ? *units_of_axis : nothing; }

  int parts = 1, mine = 0;
  bool sequence = false;
  nn::Between<Scalar> nothing;
  std::optional<parallel::TensorBetween<Scalar>> units_of_axis;
};

template <class Scalar>
ModelPlan<Scalar> plan_gpt(const nn::GptShape& shape, const nn::ModelOptions& how, const Here<Scalar>& here,
                           const nn::Between<Scalar>& between) {
  const nn::GptSlices slices = parallel::gpt_slices(shape, how.chunks, here.sequence, here.parts, here.mine);
  const Slice words = here.parts > 1 ? slices.vocabulary : whole(shape.V);
  return {nn::gpt_layers<Scalar>(shape, how.chunks, slices, between), {shape.T, words.extent}, words};
}

}  // namespace

ModelOptions read_model_options(config::Deck& deck, ModelKind kind) {
  ModelOptions options;
  options.kind = kind;
  deck.choice("model.kind", options.kind, model_kinds,
              "multi-layer perceptron, GPT-style decoder, convolutional network, or a table of hashed features whose "
              "mean over a sample's keys goes through a perceptron");
  read_hidden(deck, options);
  read_activation(deck, options);
  read_gpt(deck, options.gpt);
  read_cnn(deck, options.cnn);
  deck.integer("model.embedding", options.embedding, IntRange::extent(), "bag: width of the table");
  read_sync_batchnorm(deck, options);
  read_recompute(deck, options);
  refuse_keys_of_others(deck, options.kind);
  if (options.kind == ModelKind::gpt && options.gpt.C % options.gpt.H != 0)
    deck.reject("model.heads", fmt::format("{} heads do not divide model.width = {}", options.gpt.H, options.gpt.C),
                "a divisor");
  if (options.kind == ModelKind::cnn && options.cnn.groups > 0)
    for (const index_t width : options.cnn.width)
      if (width % options.cnn.groups != 0)
        deck.reject("model.norm_groups",
                    fmt::format("{} groups do not divide {} of model.channels", options.cnn.groups, width),
                    "a divisor of all");
  return options;
}

nn::GptShape gpt_shape(const ModelOptions& options, const SampleShape& sample) {
  nn::GptShape shape = options.gpt;
  shape.V = sample.classes;
  shape.T = sample.tokens;
  return shape;
}

nn::BagShape bag_shape(const ModelOptions& options, const SampleShape& sample) {
  return {.V = sample.vocabulary,
          .T = sample.tokens,
          .C = options.embedding,
          .hidden = options.mlp.hidden,
          .classes = sample.classes,
          .activation = options.mlp.activation};
}

template <class Scalar>
ModelPlan<Scalar> plan_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how,
                             const Splits<std::type_identity_t<Scalar>>& over) {
  const Here<Scalar> here(over.tensor);
  if (here.parts > 1 && (options.kind == ModelKind::cnn || options.kind == ModelKind::bag))
    refuse<UsageError>("model.kind",
                       fmt::format("\"{}\" is not split over ranks here", name_of(model_kinds, options.kind)),
                       "\"gpt\" or \"mlp\"");
  switch (options.kind) {
    case ModelKind::gpt:
      return plan_gpt(gpt_shape(options, sample), how, here, here.between());
    case ModelKind::cnn: {
      nn::CnnShape shape = options.cnn;
      if (sample.image.size() == 0)
        refuse<UsageError>("model.kind", "\"cnn\" reads images, and samples are numbers without a shape",
                           "data.image = [rows, columns, channels], or files of images");
      shape.rows = sample.image.rows;
      shape.columns = sample.image.columns;
      shape.channels = sample.image.channels;
      shape.classes = sample.classes;
      const auto planned = [&](const nn::Between<Scalar>& between) -> ModelPlan<Scalar> {
        return {nn::cnn_layers<Scalar>(shape, between), {1, shape.classes}, whole(shape.classes)};
      };
      if (over.rows != nullptr) return planned(parallel::SpatialBetween<Scalar>(*over.rows, *over.norms));
      if (options.sync_batchnorm && over.norms != nullptr)
        return planned(parallel::SyncBatchNormBetween<Scalar>(*over.norms));
      return planned({});
    }
    case ModelKind::bag:
      if (!sample.is_bag())
        refuse<UsageError>("model.kind", "\"bag\" reads bags of keys, and samples are none", "data of bags");
      return {
          nn::bag_layers<Scalar>(bag_shape(options, sample), how.chunks), {1, sample.classes}, whole(sample.classes)};
    default: {
      nn::MlpShape shape = options.mlp;
      shape.features = sample.features;
      shape.classes = sample.classes;
      const nn::MlpSlices slices = parallel::mlp_slices(shape, how.chunks, here.parts, here.mine);
      return {
          nn::mlp_layers<Scalar>(shape, how.chunks, slices, here.between()), {1, shape.classes}, whole(shape.classes)};
    }
  }
}

template <class Scalar>
ModelPlan<Scalar> plan_cached_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how,
                                    parallel::TensorAxis<Scalar>* axis, nn::KeyValueCache<Scalar>& cache,
                                    index_t tokens) {
  const Here<Scalar> here(axis);
  nn::GptShape shape = gpt_shape(options, sample);
  shape.T = tokens;
  shape.recompute = nn::Recompute::none;  // there is no backward
  return plan_gpt(shape, how, here, nn::CachedBetween<Scalar>(here.between(), cache));
}

template <class Scalar>
std::unique_ptr<nn::LossHead<Scalar>> make_head(kernels::Loss loss, const nn::Model<Scalar>& model,
                                                const ModelPlan<Scalar>& plan, parallel::TensorAxis<Scalar>* axis) {
  if (plan.classes.extent == plan.classes.global) return std::make_unique<nn::WholeRows<Scalar>>(loss, model);
  return std::make_unique<parallel::VocabularyParallelLoss<Scalar>>(
      axis->ranks(), axis->options().how, loss, nn::OutputShape{plan.output.labels, plan.classes.global}, plan.classes,
      model.tables().blocks(plan.classes.global));
}

std::string to_string(const ModelOptions& options, const SampleShape& sample) {
  switch (options.kind) {
    case ModelKind::gpt:
      return fmt::format("gpt of {} blocks, width {}, {} heads, {} tokens, vocabulary {}{}", options.gpt.blocks,
                         options.gpt.C, options.gpt.H, sample.tokens, sample.classes,
                         recomputed(options.gpt.recompute));
    case ModelKind::cnn:
      return fmt::format("{} on {}x{}x{}, channels {}, depth {}, {} classes{}{}", name_of(cnn_kinds, options.cnn.kind),
                         sample.image.rows, sample.image.columns, sample.image.channels,
                         fmt::join(options.cnn.width, "-"), options.cnn.depth, sample.classes,
                         options.sync_batchnorm ? ", batch norm over ranks" : "", recomputed(options.cnn.recompute));
    case ModelKind::bag:
      return fmt::format("bag of {} keys, table {} x {}, {}", sample.tokens, sample.vocabulary, options.embedding,
                         perceptron(options.embedding, options.mlp.hidden, sample.classes));
    default:
      return perceptron(sample.features, options.mlp.hidden, sample.classes);
  }
}

#define PARTITA_MODEL(S)                                                                                       \
  template ModelPlan<S> plan_model(const ModelOptions&, const SampleShape&, const nn::ModelOptions&,           \
                                   const Splits<S>&);                                                          \
  template ModelPlan<S> plan_cached_model(const ModelOptions&, const SampleShape&, const nn::ModelOptions&,    \
                                          parallel::TensorAxis<S>*, nn::KeyValueCache<S>&, index_t);           \
  template std::unique_ptr<nn::LossHead<S>> make_head(kernels::Loss, const nn::Model<S>&, const ModelPlan<S>&, \
                                                      parallel::TensorAxis<S>*);
PARTITA_MODEL(float)
PARTITA_MODEL(bfloat16)
PARTITA_MODEL(float16)
#undef PARTITA_MODEL

}  // namespace partita::training
