// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/units/activation.hpp>
#include <partita/nn/units/batchnorm2d.hpp>
#include <partita/nn/units/conv2d.hpp>
#include <partita/nn/units/groupnorm.hpp>
#include <partita/nn/units/linear.hpp>
#include <partita/nn/units/pool2d.hpp>
#include <partita/nn/units/residual.hpp>
#include <utility>

namespace partita::nn {
namespace {

struct Image {
  index_t rows, columns, channels;
  index_t pixels() const { return rows * columns; }
};

// Where the units of a network are written down.
struct Builder {
  Tables tables;
  index_t groups;
};

// Appends a convolution without bias and its norm; returns what comes out.
template <class Scalar>
Image convolve(Builder& builder, Units<Scalar>& units, const std::string& name, Image in, index_t filters,
               index_t kernel, index_t stride, bool relu) {
  Tables& tables = builder.tables;
  const kernels::Conv2dShape shape{.rows = in.rows,
                                   .columns = in.columns,
                                   .channels = in.channels,
                                   .filters = filters,
                                   .kernel_rows = kernel,
                                   .kernel_columns = kernel,
                                   .stride = stride,
                                   .padding = kernel / 2};
  const Image out{shape.out_rows(), shape.out_columns(), filters};
  units.push_back(std::make_unique<Conv2d<Scalar>>(tables.parameters, name + ".conv", shape, false));
  if (builder.groups == 0) {
    units.push_back(std::make_unique<BatchNorm2d<Scalar>>(tables, name + ".norm", out.pixels(), filters,
                                                          kernels::BatchnormOptions{.relu = relu}));
    return out;
  }
  units.push_back(std::make_unique<GroupNorm<Scalar>>(tables.parameters, name + ".norm", out.pixels(), filters,
                                                      kernels::GroupnormOptions{.groups = builder.groups}));
  if (relu)
    units.push_back(
        std::make_unique<Activation<Scalar>>(name + ".relu", out.pixels() * filters, kernels::Activation::relu));
  return out;
}

// Two 3x3 convolutions beside the identity, or beside a 1x1 convolution where the image changes its shape.
template <class Scalar>
Image basic_block(Builder& builder, Units<Scalar>& units, const std::string& name, Image in, index_t filters,
                  index_t stride) {
  Units<Scalar> branch, shortcut;
  const Image between = convolve(builder, branch, name + ".1", in, filters, 3, stride, true);
  const Image out = convolve(builder, branch, name + ".2", between, filters, 3, 1, false);
  if (stride != 1 || in.channels != filters)
    convolve(builder, shortcut, name + ".shortcut", in, filters, 1, stride, false);
  units.push_back(std::make_unique<Residual<Scalar>>(name, std::move(branch), std::move(shortcut), true));
  return out;
}

template <class Scalar>
Image halve(Units<Scalar>& units, const std::string& name, Image in) {
  const kernels::Pool2dShape shape{.rows = in.rows,
                                   .columns = in.columns,
                                   .channels = in.channels,
                                   .kernel_rows = 2,
                                   .kernel_columns = 2,
                                   .stride = 2};
  units.push_back(std::make_unique<Pool2d<Scalar>>(name, Pool::maximum, shape));
  return {shape.out_rows(), shape.out_columns(), in.channels};
}

}  // namespace

template <class Scalar>
Model<Scalar> make_cnn(const CnnShape& shape, std::uint64_t seed) {
  if (shape.width.empty()) throw UsageError("make_cnn: no group of channels is given: expected at least one");
  Builder builder{{}, shape.groups};
  Units<Scalar> units;
  Image image{shape.rows, shape.columns, shape.channels};
  const bool resnet = shape.kind == CnnKind::resnet;
  if (resnet) image = convolve(builder, units, "stem", image, shape.width.front(), 3, 1, true);
  for (std::size_t g = 0; g < shape.width.size(); ++g) {
    const std::string group = fmt::format("group{}", g);
    if (!resnet && g > 0) image = halve(units, group + ".pool", image);
    if (image.pixels() == 0)
      throw UsageError(
          fmt::format("make_cnn: images of {} x {} have no pixel left in group {} of {}; give fewer groups", shape.rows,
                      shape.columns, g, shape.width.size()));
    for (index_t d = 0; d < shape.depth; ++d) {
      const std::string name = fmt::format("{}.{}", group, d);
      if (resnet)
        image = basic_block(builder, units, name, image, shape.width[g], g > 0 && d == 0 ? 2 : 1);
      else
        image = convolve(builder, units, name, image, shape.width[g], 3, 1, true);
    }
  }
  units.push_back(std::make_unique<GlobalAveragePool<Scalar>>("pool", image.pixels(), image.channels));
  units.push_back(std::make_unique<Linear<Scalar>>(builder.tables.parameters, "linear", image.channels, shape.classes,
                                                   LinearOptions{}));
  return Model<Scalar>(std::move(builder.tables), std::move(units), seed);
}

template Model<float> make_cnn(const CnnShape&, std::uint64_t);
template Model<double> make_cnn(const CnnShape&, std::uint64_t);
template Model<bfloat16> make_cnn(const CnnShape&, std::uint64_t);
template Model<float16> make_cnn(const CnnShape&, std::uint64_t);

}  // namespace partita::nn
