// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/core/error.hpp>
#include <partita/training/model_options.hpp>

namespace partita::training {
namespace {

using config::IntRange;
using config::RealRange;
using kernels::Activation;

void read_mlp(config::Deck& deck, nn::MlpShape& shape) {
  shape.hidden = deck.integers("model.hidden", std::vector<index_t>{512, 256}, IntRange::extent(),
                               "mlp: widths of the hidden layers; [] = a linear classifier");
  shape.activation = deck.choice("model.activation", shape.activation,
                                 {{"relu", Activation::relu},
                                  {"tanh", Activation::tanh},
                                  {"sigmoid", Activation::sigmoid},
                                  {"gelu", Activation::gelu},
                                  {"gelu_tanh", Activation::gelu_tanh},
                                  {"silu", Activation::silu}},
                                 "mlp: of the hidden layers");
}

void read_gpt(config::Deck& deck, nn::GptShape& shape) {
  const IntRange some = IntRange::extent();
  shape.blocks = deck.integer("model.blocks", shape.blocks, {1, 4096}, "gpt: transformer blocks");
  shape.C = deck.integer("model.width", 64, some, "gpt: numbers of a token between blocks");
  shape.H = deck.integer("model.heads", shape.H, some, "gpt: attention heads; they divide model.width");
  shape.F = deck.integer("model.mlp_width", 0, IntRange::extent(0),
                         "gpt: hidden columns of a block's MLP; 0 = 4 model.width");
  shape.dropout = deck.real("model.dropout", 0, {0, 1, false, true},
                            "gpt: share of numbers dropped after the embedding and at the end of each branch");
  shape.tied = deck.boolean("model.tied", false, "gpt: the head multiplies with the token embedding");
  shape.rms_norm = deck.choice("model.norm", std::string("layer"), {"layer", "rms"}, "gpt: kind of norm") == "rms";
  shape.attention = deck.choice(
      "model.attention", shape.attention,
      {{"blockwise", kernels::AttentionAlgorithm::blockwise}, {"plain", kernels::AttentionAlgorithm::plain}},
      "gpt: online softmax over blocks of keys, or all scores of a head at once");
}

void read_cnn(config::Deck& deck, nn::CnnShape& shape) {
  shape.kind = deck.choice("model.cnn", shape.kind, {{"resnet", nn::CnnKind::resnet}, {"vgg", nn::CnnKind::vgg}},
                           "cnn: basic blocks with shortcuts, or plain convolutions with pooling between groups");
  shape.width = deck.integers("model.channels", std::vector<index_t>{16, 32, 64}, IntRange::extent(),
                              "cnn: channels of each group");
  shape.depth =
      deck.integer("model.depth", shape.depth, {1, 4096}, "cnn: blocks (resnet) or convolutions (vgg) of a group");
  shape.groups =
      deck.integer("model.norm_groups", 0, IntRange::extent(0), "cnn: groups of a group norm; 0 = batch norm");
}

}  // namespace

ModelOptions read_model_options(config::Deck& deck, ModelKind kind) {
  ModelOptions options;
  options.kind =
      deck.choice("model.kind", kind, {{"mlp", ModelKind::mlp}, {"gpt", ModelKind::gpt}, {"cnn", ModelKind::cnn}},
                  "multi-layer perceptron, GPT-style decoder, or convolutional network");
  read_mlp(deck, options.mlp);
  read_gpt(deck, options.gpt);
  read_cnn(deck, options.cnn);
  if (options.kind == ModelKind::gpt && options.gpt.C % options.gpt.H != 0)
    deck.reject("model.heads",
                fmt::format("{} heads do not divide model.width = {}; give a divisor", options.gpt.H, options.gpt.C));
  if (options.kind == ModelKind::cnn && options.cnn.groups > 0)
    for (const index_t width : options.cnn.width)
      if (width % options.cnn.groups != 0)
        deck.reject("model.norm_groups",
                    fmt::format("{} groups do not divide {} of model.channels; give a divisor of all",
                                options.cnn.groups, width));
  return options;
}

template <class Scalar>
ModelPlan<Scalar> plan_model(const ModelOptions& options, const SampleShape& sample, const nn::ModelOptions& how) {
  switch (options.kind) {
    case ModelKind::gpt: {
      nn::GptShape shape = options.gpt;
      shape.V = sample.classes;
      shape.T = sample.tokens;
      return {nn::gpt_layers<Scalar>(shape, how.chunks), {shape.T, shape.V}};
    }
    case ModelKind::cnn: {
      nn::CnnShape shape = options.cnn;
      if (sample.image.size() == 0)
        throw UsageError("model.kind = \"cnn\" needs images; give data.image = [rows, columns, channels]");
      shape.rows = sample.image.rows;
      shape.columns = sample.image.columns;
      shape.channels = sample.image.channels;
      shape.classes = sample.classes;
      return {nn::cnn_layers<Scalar>(shape), {1, shape.classes}};
    }
    default: {
      nn::MlpShape shape = options.mlp;
      shape.features = sample.features;
      shape.classes = sample.classes;
      return {nn::mlp_layers<Scalar>(shape, how.chunks), {1, shape.classes}};
    }
  }
}

std::string to_string(const ModelOptions& options, const SampleShape& sample) {
  switch (options.kind) {
    case ModelKind::gpt:
      return fmt::format("gpt of {} blocks, width {}, {} heads, {} tokens, vocabulary {}", options.gpt.blocks,
                         options.gpt.C, options.gpt.H, sample.tokens, sample.classes);
    case ModelKind::cnn:
      return fmt::format("{} on {}x{}x{}, channels {}, depth {}, {} classes",
                         options.cnn.kind == nn::CnnKind::resnet ? "resnet" : "vgg", sample.image.rows,
                         sample.image.columns, sample.image.channels, fmt::join(options.cnn.width, "-"),
                         options.cnn.depth, sample.classes);
    default:
      return options.mlp.hidden.empty()
                 ? fmt::format("mlp {}-{}", sample.features, sample.classes)
                 : fmt::format("mlp {}-{}-{}", sample.features, fmt::join(options.mlp.hidden, "-"), sample.classes);
  }
}

template ModelPlan<float> plan_model(const ModelOptions&, const SampleShape&, const nn::ModelOptions&);
template ModelPlan<bfloat16> plan_model(const ModelOptions&, const SampleShape&, const nn::ModelOptions&);
template ModelPlan<float16> plan_model(const ModelOptions&, const SampleShape&, const nn::ModelOptions&);

}  // namespace partita::training
