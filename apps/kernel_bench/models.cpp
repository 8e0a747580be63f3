// SPDX-License-Identifier: BSD-3-Clause
#include <memory>

#include <fmt/format.h>

#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/serial_step.hpp>

#include "suite.hpp"

// Whole training steps in fp32: forward, cross-entropy, backward, update. tests/perf/compare_models.py times PyTorch at
// the same.

namespace partita::kernel_bench {
namespace {

using kernels::Optimizer;

/// Everything a step works on.
struct Training {
  Training(kernels::Context& context, nn::Model<float> of, index_t B, Optimizer optimizer)
      : model(std::move(of)),
        label(labels(B * model.output().labels, model.output().classes)),
        step(context, model, B, {.update = {.optimizer = {.kind = optimizer}, .learning_rate = 3e-4}}) {
    if (model.reads_tokens()) {
      words = labels(B * model.inputs(), model.output().classes);
      tokens = Matrix<std::int32_t>(words.data(), B, model.inputs());
    } else {
      x = matrix(B, model.inputs());
    }
  }
  void run() { step.run({x, tokens, label}); }

  nn::Model<float> model;
  Matrix<float> x;
  Vector<std::int32_t> words;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;
  nn::SerialStep<float> step;
};

void add_model(Suite& suite, const char* name, index_t B, Optimizer optimizer,
               const std::function<nn::Model<float>()>& make) {
  // Bytes: weights and gradient written and read, the optimizer's own pass; activations are not counted.
  const nn::Model<float> model = make();
  const index_t n = model.table().size();
  const kernels::cost::Cost update = kernels::cost::optimizer_update({.kind = optimizer}, n, 4);
  const kernels::cost::Cost cost{model.flop(B).total() + update.flop, 3 * 4.0 * static_cast<double>(n) + update.byte};
  suite.add(fmt::format("model/{}", name), cost, [=](kernels::Context& context) -> Call {
    const auto training = std::make_shared<Training>(context, make(), B, optimizer);
    context.measure_backends(true);  // as a run does in its first step of warm-up
    training->run();
    context.measure_backends(false);
    return [training] { training->run(); };
  });
}

}  // namespace

void add_models(Suite& suite) {
  add_model(suite, "mlp", 256, Optimizer::adam, [] {
    return nn::make_mlp<float>({784, {2048, 2048}, 10, kernels::Activation::relu});
  });
  add_model(suite, "gpt", 8, Optimizer::adamw,
            [] { return nn::make_gpt<float>({.V = 256, .T = 256, .C = 256, .H = 4, .blocks = 4}); });
  add_model(suite, "cnn", 128, Optimizer::adamw, [] { return nn::make_cnn<float>({}); });
}

}  // namespace partita::kernel_bench
