// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/layers.hpp>

namespace partita::nn {

/// What a builder asks for where a strategy may have to communicate: around a product whose outputs or inputs are split
/// over ranks, an embedding of some of the words, a norm of some of the tokens, or of some of the rows behind its
/// statistics, what reads neighbours of a pixel; and where tokens may follow others that went through before,
/// attention. Nothing, in a model that is whole: each word then means the plain unit, and the list of layers is the
/// same.
template <class Scalar>
struct Between {
  virtual ~Between() = default;

  /// Whole rows in, the output columns that are here out.
  virtual Layer<Scalar> into_split(const std::string& name, const LinearShape& shape) const {
    return Layers<Scalar>::linear(name, shape);
  }
  /// The input columns that are here in, whole rows out: the sum of what all ranks have.
  virtual Layer<Scalar> out_of_split(const std::string& name, const LinearShape& shape) const {
    return Layers<Scalar>::linear(name, shape);
  }
  /// The words that are here.
  virtual Layer<Scalar> embedding(const std::string& name, const EmbeddingShape& shape) const {
    return Layers<Scalar>::embedding(name, shape);
  }
  /// The tokens that are here, of whole rows.
  virtual Layer<Scalar> token_norm(const std::string& name, Norm norm, Slice tokens, index_t C) const {
    return Layers<Scalar>::token_norm(name, norm, tokens, C);
  }
  virtual Layer<Scalar> attention(const std::string& name, const kernels::AttentionOptions& options, index_t D) const {
    return Layers<Scalar>::attention(name, options, D);
  }
  /// The samples that are here, and of each the image rows that are here; `image` and `shape` are the whole's, and
  /// Image::reduction says which rows belong together.
  virtual Layer<Scalar> batchnorm2d(const std::string& name, const Image& image, bool relu) const {
    return Layers<Scalar>::batchnorm2d(name, image, relu);
  }
  virtual Layer<Scalar> groupnorm(const std::string& name, const Image& image, index_t groups) const {
    return Layers<Scalar>::groupnorm(name, image, groups);
  }
  /// reduction: of the input, here and below.
  virtual Layer<Scalar> conv2d(const std::string& name, const kernels::Conv2dShape& shape,
                               index_t /*reduction*/) const {
    return Layers<Scalar>::conv2d(name, shape);
  }
  virtual Layer<Scalar> pool2d(const std::string& name, Pool pool, const kernels::Pool2dShape& shape,
                               index_t /*reduction*/) const {
    return Layers<Scalar>::pool2d(name, pool, shape);
  }
  /// The image rows that are here in, the mean over all out.
  virtual Layer<Scalar> global_average_pool(const std::string& name, const Image& image) const {
    return Layers<Scalar>::global_average_pool(name, image);
  }
  /// Whole rows in and out, computed by all ranks alike.
  virtual Layer<Scalar> linear_by_all(const std::string& name, const LinearShape& shape) const {
    return Layers<Scalar>::linear(name, shape);
  }
};

}  // namespace partita::nn
