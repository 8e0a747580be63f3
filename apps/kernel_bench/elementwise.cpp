// SPDX-License-Identifier: BSD-3-Clause
#include <string>
#include <vector>

#include <fmt/format.h>

#include <partita/core/float16.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/kernels/dropout.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/norm.hpp>
#include <partita/kernels/optimizer.hpp>

#include "suite.hpp"

namespace partita::kernel_bench {
namespace {

using kernels::Activation;
using kernels::Context;

void add_activation(Suite& suite, Activation activation, index_t n) {
  const std::string size = fmt::format("{}/{}", name(activation), n);
  suite.add("activation_forward/" + size, kernels::cost::activation_forward(activation, n, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(1, n), y = matrix(1, n)] {
                kernels::activation_forward<float>(context.exec(), activation, x, y);
              };
            });
  suite.add("activation_backward_from_input/" + size, kernels::cost::activation_backward_from_input(activation, n, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(1, n), dy = matrix(1, n), dx = matrix(1, n)] {
                kernels::activation_backward_from_input<float>(context.exec(), activation, x, dy, dx);
              };
            });
}

template <class To>
void add_cast(Suite& suite, const char* to, index_t n) {
  suite.add(
      fmt::format("cast/float_to_{}/{}", to, n), kernels::cost::cast(n, 4, sizeof(To)), [=](Context& context) -> Call {
        return [=, &context, a = vector(n), b = vector<To>(n)] { kernels::cast<To, float>(context.exec(), a, b); };
      });
}

void add_optimizer(Suite& suite, const kernels::OptimizerOptions& options, index_t n) {
  const char* const momentum = options.momentum != 0 ? "_momentum" : "";
  suite.add(fmt::format("optimizer_update/{}{}/{}", name(options.kind), momentum, n),
            kernels::cost::optimizer_update(options, n, 4), [=](Context& context) -> Call {
              const kernels::OptimizerStateView state("partita::kernel_bench::state");
              kernels::optimizer_set_learning_rate(context.exec(), 1e-6, state);
              kernels::optimizer_advance(context.exec(), options, state);
              const auto m = Vector<float>("partita::kernel_bench::m", kernels::optimizer_needs_m(options) ? n : 0);
              const auto v = Vector<float>("partita::kernel_bench::v", kernels::optimizer_needs_v(options) ? n : 0);
              return [=, &context, g = vector(n), p = vector(n)] {
                kernels::optimizer_update<float>(context.exec(), options, state, g, p, m, v);
              };
            });
}

template <class Storage>
void add_mixed_optimizer(Suite& suite, const char* storage, index_t n) {
  const kernels::OptimizerOptions options{.kind = kernels::Optimizer::adamw, .weight_decay = 0.1};
  suite.add(fmt::format("optimizer_update/adamw_{}/{}", storage, n),
            kernels::cost::optimizer_update_mixed(options, n, sizeof(Storage)), [=](Context& context) -> Call {
              const kernels::OptimizerStateView state("partita::kernel_bench::state");
              kernels::optimizer_set_learning_rate(context.exec(), 1e-6, state);
              kernels::optimizer_advance(context.exec(), options, state);
              const auto m = Vector<float>("partita::kernel_bench::m", n),
                         v = Vector<float>("partita::kernel_bench::v", n);
              return [=, &context, g = vector(n), p = vector(n), copy = vector<Storage>(n)] {
                kernels::optimizer_update(context.exec(), options, state, g, p, m, v, copy);
              };
            });
}

/// The norm of n gradients that are cut into the cells listed.
void add_norm(Suite& suite, const std::string& shape, const std::vector<kernels::NormCell>& list, index_t n) {
  index_t elements = 0;
  for (const kernels::NormCell& cell : list) elements += cell.rows * cell.columns;
  suite.add(fmt::format("norm_squared/{}/{}", shape, n), kernels::cost::norm_squared(elements, 4),
            [=](Context& context) -> Call {
              const Vector<kernels::NormCell> cells("partita::kernel_bench::cells", list.size());
              const Kokkos::View<const kernels::NormCell*, Kokkos::HostSpace> from(list.data(), list.size());
              Kokkos::deep_copy(context.exec(), cells, from);
              const Vector<double> sums("partita::kernel_bench::sums", list.size());
              const Kokkos::View<double, Memory> sum("partita::kernel_bench::sum");
              return [=, &context, g = vector(n)] {
                kernels::norm_squared<float>(context, cells, g, sums);
                kernels::norm_total(context.exec(), sums, sum);
              };
            });
}

/// A matrix (n / columns, columns) in cells of rows x width.
std::vector<kernels::NormCell> blocks_of(index_t n, index_t columns, index_t rows, index_t width) {
  std::vector<kernels::NormCell> cells;
  for (index_t r = 0; r < n / columns; r += rows)
    for (index_t c = 0; c < columns; c += width) cells.push_back({r * columns + c, rows, width, columns});
  return cells;
}

void add_loss(Suite& suite, index_t B, index_t V) {
  suite.add(fmt::format("loss_forward_backward/cross_entropy/{}x{}", B, V),
            kernels::cost::loss_forward_backward(kernels::Loss::cross_entropy, B, V, 4), [=](Context& context) -> Call {
              const Kokkos::View<double, Memory> sum("partita::kernel_bench::sum");
              return [=, &context, z = matrix(B, V), dz = matrix(B, V), label = labels(B, V)] {
                kernels::loss_forward_backward<float>(context, {}, z, label, 1.0 / double(B), dz, sum);
              };
            });
}

}  // namespace

void add_elementwise(Suite& suite) {
  constexpr index_t n = index_t{8} << 20;  // 32 MiB of fp32: larger than most caches
  suite.add(fmt::format("triad/{}", n), {2.0 * n, 12.0 * n}, [=](Context& context) -> Call {
    return [=, &context, a = vector(n), b = vector(n), c = vector(n)] {
      kernels::triad<float>(context.exec(), 3.0F, a, b, c);
    };
  });
  for (const Activation activation : {Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::silu})
    for (const index_t size : {n, index_t{2048} * 1024}) add_activation(suite, activation, size);
  suite.add(fmt::format("add/{}", n), kernels::cost::add(n, 4), [=](Context& context) -> Call {
    return [=, &context, a = vector(n), b = vector(n), c = vector(n)] { kernels::add<float>(context.exec(), a, b, c); };
  });
  suite.add(fmt::format("add_relu/{}", n), kernels::cost::add_relu(n, 4), [=](Context& context) -> Call {
    return [=, &context, a = vector(n), b = vector(n), c = vector(n)] {
      kernels::add_relu<float>(context.exec(), a, b, c);
    };
  });
  add_norm(suite, "flat", kernels::norm_cells({0, n}), n);
  add_norm(suite, "blocks_16x256_of_2048", blocks_of(n, 2048, 16, 256), n);
  suite.add(fmt::format("clip_by_norm/{}", n), kernels::cost::clip_by_norm(n, 4), [=](Context& context) -> Call {
    const Kokkos::View<double, Memory> sum("partita::kernel_bench::sum");
    Kokkos::deep_copy(context.exec(), sum, 1.0);
    return [=, &context, g = vector(n)] { kernels::clip_by_norm<float>(context.exec(), 1 - 1e-6, sum, g); };
  });
  add_cast<bfloat16>(suite, "bfloat16", n);
  add_cast<float16>(suite, "float16", n);
  suite.add(fmt::format("dropout/{}", n), kernels::cost::dropout(n, 4), [=](Context& context) -> Call {
    const index_t columns = 2048, rows = n / columns;
    const kernels::DropoutOptions options{.rate = 0.1, .seed = 1, .rows = whole(rows), .columns = whole(columns)};
    return [=, &context, x = matrix(rows, columns), y = matrix(rows, columns)] {
      kernels::dropout<float>(context.exec(), options, x, y);
    };
  });
  using kernels::Optimizer;
  add_optimizer(suite, {.kind = Optimizer::sgd}, n);
  add_optimizer(suite, {.kind = Optimizer::sgd, .momentum = 0.9}, n);
  add_optimizer(suite, {.kind = Optimizer::adagrad}, n);
  add_optimizer(suite, {.kind = Optimizer::adam}, n);
  add_optimizer(suite, {.kind = Optimizer::adamw, .weight_decay = 0.1}, n);
  add_mixed_optimizer<bfloat16>(suite, "bfloat16", n);
  add_mixed_optimizer<float16>(suite, "float16", n);
  add_loss(suite, 256, 10);
  add_loss(suite, 2048, 256);
}

}  // namespace partita::kernel_bench
