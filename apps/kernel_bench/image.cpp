// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/kernels/batchnorm.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/groupnorm.hpp>
#include <partita/kernels/pool2d.hpp>

#include "suite.hpp"

namespace partita::kernel_bench {
namespace {

using kernels::Context;
namespace cost = kernels::cost;

void add_convolution(Suite& suite, index_t B, index_t side, index_t channels, index_t filters, index_t kernel,
                     index_t stride) {
  const kernels::Conv2dShape shape{.rows = side,
                                   .columns = side,
                                   .channels = channels,
                                   .filters = filters,
                                   .kernel_rows = kernel,
                                   .kernel_columns = kernel,
                                   .stride = stride,
                                   .padding = kernel / 2};
  const std::string size =
      fmt::format("B{}_{}x{}x{}_F{}_{}x{}_s{}", B, side, side, channels, filters, kernel, kernel, stride);
  suite.add("conv2d_forward/" + size, cost::conv2d_forward(shape, B, 4), [=](Context& context) -> Call {
    return [=, &context, x = matrix(B, shape.inputs()), W = matrix(filters, shape.kernel()),
            y = matrix(B, shape.outputs())] { kernels::conv2d_forward<float>(context, shape, x, W, {}, y); };
  });
  suite.add("conv2d_backward_input/" + size, cost::conv2d_backward_input(shape, B, 4), [=](Context& context) -> Call {
    return [=, &context, dy = matrix(B, shape.outputs()), W = matrix(filters, shape.kernel()),
            dx = matrix(B, shape.inputs())] { kernels::conv2d_backward_input<float>(context, shape, dy, W, dx); };
  });
  suite.add("conv2d_backward_weights/" + size, cost::conv2d_backward_weights(shape, B, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, shape.inputs()), dy = matrix(B, shape.outputs()),
                      dW = matrix(filters, shape.kernel())] {
                kernels::conv2d_backward_weights<float>(context, shape, {}, kernels::Store::overwrite, x, dy, dW, {});
              };
            });
}

void add_batchnorm(Suite& suite, index_t R, index_t C) {
  const kernels::BatchnormOptions options{.relu = true};
  const std::string size = fmt::format("relu/{}x{}", R, C);
  suite.add("batchnorm_forward/" + size, cost::batchnorm_forward(options, R, C, 4), [=](Context& context) -> Call {
    return [=, &context, x = matrix(R, C), gamma = vector(C), beta = vector(C), y = matrix(R, C), mean = vector(C),
            variance = vector(C), rstd = vector(C)] {
      kernels::batchnorm_forward<float>(context, options, x, gamma, beta, y, mean, variance, rstd);
    };
  });
  suite.add("batchnorm_backward_sums/" + size, cost::batchnorm_backward_sums(options, R, C, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(R, C), y = matrix(R, C), dy = matrix(R, C), mean = vector(C),
                      rstd = vector(C), dgamma = vector(C), dbeta = vector(C)] {
                kernels::batchnorm_backward_sums<float>(context, options, x, y, mean, rstd, dy, dgamma, dbeta);
              };
            });
  suite.add("batchnorm_backward_input/" + size, cost::batchnorm_backward_input(options, R, C, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(R, C), y = matrix(R, C), dy = matrix(R, C), gamma = vector(C),
                      mean = vector(C), rstd = vector(C), dgamma = vector(C), dbeta = vector(C), dx = matrix(R, C)] {
                kernels::batchnorm_backward_input<float>(context.exec(), options, x, y, gamma, mean, rstd, dgamma,
                                                         dbeta, dy, dx);
              };
            });
}

void add_groupnorm(Suite& suite, index_t B, index_t pixels, index_t C, index_t groups) {
  const kernels::GroupnormOptions options{.groups = groups};
  const std::string size = fmt::format("{}x{}x{}_g{}", B, pixels, C, groups);
  suite.add("groupnorm_forward/" + size, cost::groupnorm_forward(options, B, pixels, C, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, pixels * C), gamma = vector(C), beta = vector(C),
                      y = matrix(B, pixels * C), mean = matrix(B, groups), rstd = matrix(B, groups)] {
                kernels::groupnorm_forward<float>(context, options, x, gamma, beta, y, mean, rstd);
              };
            });
  suite.add("groupnorm_backward_input/" + size, cost::groupnorm_backward_input(options, B, pixels, C, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, pixels * C), gamma = vector(C), mean = matrix(B, groups),
                      rstd = matrix(B, groups), dy = matrix(B, pixels * C), dx = matrix(B, pixels * C)] {
                kernels::groupnorm_backward_input<float>(context, options, x, gamma, mean, rstd, dy, dx);
              };
            });
  suite.add("groupnorm_backward_weights/" + size, cost::groupnorm_backward_weights(options, B, pixels, C, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, pixels * C), mean = matrix(B, groups), rstd = matrix(B, groups),
                      dy = matrix(B, pixels * C), dgamma = vector(C), dbeta = vector(C)] {
                kernels::groupnorm_backward_weights<float>(context, options, kernels::Store::overwrite, x, mean, rstd,
                                                           dy, dgamma, dbeta);
              };
            });
}

void add_pools(Suite& suite, index_t B, index_t side, index_t channels) {
  const kernels::Pool2dShape shape{
      .rows = side, .columns = side, .channels = channels, .kernel_rows = 2, .kernel_columns = 2, .stride = 2};
  const std::string size = fmt::format("B{}_{}x{}x{}", B, side, side, channels);
  suite.add("max_pool2d_forward/" + size, cost::max_pool2d_forward(shape, B, 4), [=](Context& context) -> Call {
    const Matrix<std::int32_t> winner("partita::kernel_bench::winner", B, shape.outputs());
    return [=, &context, x = matrix(B, shape.inputs()), y = matrix(B, shape.outputs())] {
      kernels::max_pool2d_forward<float>(context.exec(), shape, x, y, winner);
    };
  });
  suite.add("average_pool2d_forward/" + size, cost::average_pool2d_forward(shape, B, 4), [=](Context& context) -> Call {
    return [=, &context, x = matrix(B, shape.inputs()), y = matrix(B, shape.outputs())] {
      kernels::average_pool2d_forward<float>(context.exec(), shape, x, y);
    };
  });
  const index_t pixels = side * side;
  suite.add("global_average_pool2d_forward/" + size, cost::global_average_pool2d_forward(B, pixels, channels, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, pixels * channels), y = matrix(B, channels)] {
                kernels::global_average_pool2d_forward<float>(context.exec(), pixels, {}, x, y);
              };
            });
  suite.add("max_pool2d_backward/" + size, cost::max_pool2d_backward(shape, B, 4), [=](Context& context) -> Call {
    const Matrix<std::int32_t> winner("partita::kernel_bench::winner", B, shape.outputs());
    return [=, &context, dy = matrix(B, shape.outputs()), dx = matrix(B, shape.inputs())] {
      kernels::max_pool2d_backward<float>(context.exec(), shape, dy, winner, dx);
    };
  });
  suite.add("average_pool2d_backward/" + size, cost::average_pool2d_backward(shape, B, 4),
            [=](Context& context) -> Call {
              return [=, &context, dy = matrix(B, shape.outputs()), dx = matrix(B, shape.inputs())] {
                kernels::average_pool2d_backward<float>(context.exec(), shape, dy, dx);
              };
            });
  suite.add("global_average_pool2d_backward/" + size, cost::global_average_pool2d_backward(B, pixels, channels, 4),
            [=](Context& context) -> Call {
              return [=, &context, dy = matrix(B, channels), dx = matrix(B, pixels * channels)] {
                kernels::global_average_pool2d_backward<float>(context.exec(), pixels, dy, dx);
              };
            });
}

}  // namespace

void add_image(Suite& suite) {
  // Those of the CNN of the comparison, batch 128; the last four are the transitions between its groups.
  for (const auto& [side, channels] : {std::pair<index_t, index_t>{28, 16}, {14, 32}, {7, 64}})
    add_convolution(suite, 128, side, channels, channels, 3, 1);
  add_convolution(suite, 128, 28, 1, 16, 3, 1);
  add_convolution(suite, 128, 28, 16, 32, 3, 2);
  add_convolution(suite, 128, 28, 16, 32, 1, 2);
  for (const auto& [side, channels] : {std::pair<index_t, index_t>{28, 16}, {14, 32}, {7, 64}})
    add_batchnorm(suite, 128 * side * side, channels);
  add_groupnorm(suite, 128, 28 * 28, 16, 4);
  add_pools(suite, 128, 28, 16);
}

}  // namespace partita::kernel_bench
