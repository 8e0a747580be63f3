// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/nn/between.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

/// vgg: plain 3x3 convolutions, each with batch norm and relu, a 2x2 maximum after every group but the last
/// (Simonyan and Zisserman 2015). resnet: a stem, then groups of basic blocks of two 3x3 convolutions, the first of
/// every group but the first with stride 2 (He et al. 2016). Both end in global average pooling and a linear layer.
enum class CnnKind { vgg, resnet };

struct CnnShape {
  CnnKind kind = CnnKind::resnet;
  index_t rows = 28, columns = 28, channels = 1;  ///< of an image, NHWC
  std::vector<index_t> width = {16, 32, 64};      ///< channels of each group
  index_t depth = 2;                              ///< blocks (resnet) or convolutions (vgg) of each group
  index_t groups = 0;                             ///< of a group norm in place of each batch norm; 0: batch norm
  index_t classes = 10;
  Recompute recompute = Recompute::none;  ///< block: of resnet, and each convolution of vgg with its norm
};

/// A convolutional classifier: images (B, rows columns channels) -> scores (B, classes). Norms, convolutions, pooling
/// and the last layer are what `between` says.
///
/// Throws   UsageError for an extent below 1, no group, a group whose images would have no pixel, group norms whose
///          groups do not divide the channels, or attention to be recomputed.
template <class Scalar>
LayerList<Scalar> cnn_layers(const CnnShape& shape, const Between<Scalar>& between = {});

template <class Scalar>
Model<Scalar> make_cnn(const CnnShape& shape, const ModelOptions& options = {}) {
  return Model<Scalar>(cnn_layers<Scalar>(shape), {1, shape.classes}, options);
}

}  // namespace partita::nn
