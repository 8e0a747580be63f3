// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/cnn.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {
namespace {

// The layers of a network, written one after the other, and the image that the last of them gives.
template <class Scalar>
struct Writer {
  using L = Layers<Scalar>;
  using List = LayerList<Scalar>;

  List list;
  Image image;
  index_t groups;  // of group norms; 0: batch norms
  const Between<Scalar>& between;

  // What comes next, in a list of its own.
  Writer empty() const { return {{}, image, groups, between}; }

  // A convolution without bias, its norm and, if asked, relu.
  void convolve(const std::string& name, index_t filters, index_t kernel, index_t stride, bool relu) {
    const kernels::Conv2dShape shape{.rows = image.rows,
                                     .columns = image.columns,
                                     .channels = image.channels,
                                     .filters = filters,
                                     .kernel_rows = kernel,
                                     .kernel_columns = kernel,
                                     .stride = stride,
                                     .padding = kernel / 2};
    list.push_back(between.conv2d(name + ".conv", shape, image.reduction));
    image = {shape.out_rows(), shape.out_columns(), filters, image.reduction * stride};
    if (groups == 0) return list.push_back(between.batchnorm2d(name + ".norm", image, relu));
    list.push_back(between.groupnorm(name + ".norm", image, groups));
    if (relu) list.push_back(L::activation(name + ".relu", image.size(), kernels::Activation::relu));
  }

  // Two 3x3 convolutions beside the identity, or beside a 1x1 convolution where the image changes its shape.
  void basic_block(const std::string& name, index_t filters, index_t stride) {
    Writer branch = empty(), shortcut = empty();
    branch.convolve(name + ".1", filters, 3, stride, true);
    branch.convolve(name + ".2", filters, 3, 1, false);
    if (stride != 1 || image.channels != filters) shortcut.convolve(name + ".shortcut", filters, 1, stride, false);
    image = branch.image;
    list.push_back(L::residual(name, branch.list, shortcut.list, true));
  }

  void halve(const std::string& name) {
    const kernels::Pool2dShape shape{.rows = image.rows,
                                     .columns = image.columns,
                                     .channels = image.channels,
                                     .kernel_rows = 2,
                                     .kernel_columns = 2,
                                     .stride = 2};
    list.push_back(between.pool2d(name, Pool::maximum, shape, image.reduction));
    image = {shape.out_rows(), shape.out_columns(), image.channels, image.reduction * shape.stride};
  }
};

void check(const CnnShape& shape) {
  if (shape.width.empty()) refuse<UsageError>("CNN", "no group of channels is given", "at least one");
  std::vector<index_t> extents = {shape.rows, shape.columns, shape.channels, shape.depth, shape.classes};
  extents.insert(extents.end(), shape.width.begin(), shape.width.end());
  for (const index_t extent : extents)
    if (extent < 1)
      refuse<UsageError>("CNN",
                         fmt::format("images of {} x {} x {}, depth {}, {} classes, {} channels in a group", shape.rows,
                                     shape.columns, shape.channels, shape.depth, shape.classes,
                                     *std::min_element(shape.width.begin(), shape.width.end())),
                         "at least 1 of each");
  if (shape.recompute == Recompute::attention)
    refuse<UsageError>("CNN", "attention to be recomputed, and there is none", "whole blocks, or nothing");
  for (const index_t width : shape.width)
    if (shape.groups < 0 || (shape.groups > 0 && width % shape.groups != 0))
      refuse<UsageError>("CNN", fmt::format("{} channels in {} groups of a norm", width, shape.groups),
                         "a number of groups that divides them, or 0 for batch norm");
}

}  // namespace

template <class Scalar>
LayerList<Scalar> cnn_layers(const CnnShape& shape, const Between<Scalar>& between) {
  check(shape);
  using L = Layers<Scalar>;
  const bool resnet = shape.kind == CnnKind::resnet;
  Writer<Scalar> network{{}, {shape.rows, shape.columns, shape.channels}, shape.groups, between};
  if (resnet) network.convolve("stem", shape.width.front(), 3, 1, true);
  for (std::size_t g = 0; g < shape.width.size(); ++g) {
    const std::string group = fmt::format("group{}", g);
    if (!resnet && g > 0) network.halve(group + ".pool");
    if (network.image.pixels() == 0)
      refuse<UsageError>("CNN",
                         fmt::format("images of {} x {} have no pixel left in group {} of {}", shape.rows,
                                     shape.columns, g, shape.width.size()),
                         "fewer groups");
    for (index_t d = 0; d < shape.depth; ++d) {
      const std::string name = fmt::format("{}.{}", group, d);
      Writer<Scalar> block = network.empty();
      if (resnet)
        block.basic_block(name, shape.width[g], g > 0 && d == 0 ? 2 : 1);
      else
        block.convolve(name, shape.width[g], 3, 1, true);
      if (shape.recompute == Recompute::block) block.list = {L::recomputed(name + ".again", std::move(block.list))};
      network.list.insert(network.list.end(), block.list.begin(), block.list.end());
      network.image = block.image;
    }
  }
  network.list.push_back(between.global_average_pool("pool", network.image));
  network.list.push_back(between.linear_by_all("linear", {.K = whole(network.image.channels), .N = {shape.classes}}));
  return network.list;
}

template LayerList<float> cnn_layers(const CnnShape&, const Between<float>&);
template LayerList<double> cnn_layers(const CnnShape&, const Between<double>&);
template LayerList<bfloat16> cnn_layers(const CnnShape&, const Between<bfloat16>&);
template LayerList<float16> cnn_layers(const CnnShape&, const Between<float16>&);

}  // namespace partita::nn
