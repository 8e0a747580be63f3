// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <memory>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/trainer.hpp>

#include "suite.hpp"

// Whole training steps in fp32: forward, cross-entropy, backward, update. tests/perf/compare_models.py times PyTorch at
// the same.

namespace partita::kernel_bench {
namespace {

using kernels::Optimizer;

struct Shape {
  index_t B;        // rows of a batch
  index_t labels;   // of a row
  index_t classes;  // of a label
  index_t tokens;   // of a row; 0: rows of features
  Optimizer optimizer;
};

/// Everything a step works on.
struct Training {
  Training(kernels::Context& context, nn::Model<float> of, const Shape& shape)
      : model(std::move(of)),
        x(shape.tokens > 0 ? Matrix<float>() : matrix(shape.B, model.inputs())),
        label(labels(shape.B * shape.labels, shape.classes)),
        trainer(model, context,
                nn::FlatOptimizer<float>(context.exec(), {.kind = shape.optimizer}, 3e-4, model.parameters()),
                shape.B) {
    if (shape.tokens > 0) {
      const Vector<std::int32_t> words = labels(shape.B * shape.tokens, shape.classes);
      kept = words;
      tokens = Matrix<std::int32_t>(words.data(), shape.B, shape.tokens);
    }
  }

  nn::Model<float> model;
  Matrix<float> x;
  Vector<std::int32_t> kept;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;
  Kokkos::View<double, Memory> sum{"partita::kernel_bench::sum"};
  nn::Trainer<float> trainer;
};

void add_model(Suite& suite, const char* name, const Shape& shape, const std::function<nn::Model<float>()>& make) {
  // Bytes: weights and gradient written and read, the optimizer's own pass; activations are not counted.
  const nn::Model<float> model = make();
  const kernels::cost::Cost update =
      kernels::cost::optimizer_update({.kind = shape.optimizer}, model.table().size(), 4);
  const kernels::cost::Cost cost{model.forward_flop(shape.B) + model.backward_flop(shape.B) + update.flop,
                                 3 * 4.0 * static_cast<double>(model.table().size()) + update.byte};
  suite.add(fmt::format("model/{}", name), cost, [=](kernels::Context& context) -> Call {
    const auto training = std::make_shared<Training>(context, make(), shape);
    return [training] { training->trainer.step(training->x, training->tokens, training->label, training->sum); };
  });
}

}  // namespace

void add_models(Suite& suite) {
  add_model(suite, "mlp", {256, 1, 10, 0, Optimizer::adam}, [] {
    return nn::make_mlp<float>({784, {2048, 2048}, 10, kernels::Activation::relu}, 1);
  });
  add_model(suite, "gpt", {8, 256, 256, 256, Optimizer::adamw},
            [] { return nn::make_gpt<float>({.V = 256, .T = 256, .C = 256, .H = 4, .blocks = 4}, 1); });
  add_model(suite, "cnn", {128, 1, 10, 0, Optimizer::adamw}, [] { return nn::make_cnn<float>({}, 1); });
}

}  // namespace partita::kernel_bench
