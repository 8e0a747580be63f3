// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/layers.hpp>

#include <utility>

#include <partita/nn/units/activation.hpp>
#include <partita/nn/units/attention.hpp>
#include <partita/nn/units/batchnorm2d.hpp>
#include <partita/nn/units/cached_attention.hpp>
#include <partita/nn/units/dropout.hpp>
#include <partita/nn/units/groupnorm.hpp>
#include <partita/nn/units/recomputed.hpp>
#include <partita/nn/units/residual.hpp>

namespace partita::nn {
namespace {

template <class Scalar>
std::unique_ptr<Unit<Scalar>> with_tag(std::unique_ptr<Unit<Scalar>> unit, const char* tag) {
  unit->set_tag(tag);
  return unit;
}

template <class Scalar>
Units<Scalar> build(const LayerList<Scalar>& layers, Tables& tables) {
  Units<Scalar> units;
  for (const Layer<Scalar>& layer : layers)
    if (layer) units.push_back(layer(tables));
  return units;
}

constexpr const char* norm_tag = "norm";

}  // namespace

template <class Scalar>
Layer<Scalar> Layers<Scalar>::linear(std::string name, LinearShape shape) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<Linear<Scalar>>(tables, name, shape), "linear");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::activation(std::string name, index_t columns, kernels::Activation activation) {
  return [=](Tables&) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<Activation<Scalar>>(name, columns, activation), "activation");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::dropout(std::string name, Slice columns, double rate) {
  if (rate == 0) return {};
  return [=](Tables&) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<Dropout<Scalar>>(name, columns, rate), "dropout");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::embedding(std::string name, const EmbeddingShape& shape) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<Embedding<Scalar>>(tables, name, shape), "embedding");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::embedding_bag(std::string name, const EmbeddingBagShape& shape) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<EmbeddingBag<Scalar>>(tables, name, shape), "embedding");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::token_norm(std::string name, Norm norm, Slice tokens, index_t C) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<TokenNorm<Scalar>>(tables, name, norm, tokens, C), norm_tag);
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::attention(std::string name, const kernels::AttentionOptions& options, index_t D) {
  return [=](Tables&) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<Attention<Scalar>>(name, options, D), "attention");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::cached_attention(std::string name, const kernels::AttentionOptions& options, index_t D,
                                               KeyValueCache<Scalar>& cache) {
  return [=, &cache](Tables&) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<CachedAttention<Scalar>>(name, options, D, cache), "attention");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::conv2d(std::string name, const kernels::Conv2dShape& shape, bool bias) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<Conv2d<Scalar>>(tables, name, shape, bias), "convolution");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::batchnorm2d(std::string name, const Image& image, bool relu) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<BatchNorm2d<Scalar>>(tables, name, image, relu), norm_tag);
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::groupnorm(std::string name, const Image& image, index_t groups) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<GroupNorm<Scalar>>(tables, name, image, groups), norm_tag);
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::pool2d(std::string name, Pool pool, const kernels::Pool2dShape& shape) {
  return [=](Tables&) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<Pool2d<Scalar>>(name, pool, shape), "pooling");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::global_average_pool(std::string name, const Image& image) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return with_tag<Scalar>(std::make_unique<GlobalAveragePool<Scalar>>(tables, name, image), "pooling");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::residual(std::string name, List branch, List shortcut, bool relu) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    Units<Scalar> first = build(branch, tables);  // before the shortcut: tensors are declared in this order
    return with_tag<Scalar>(std::make_unique<Residual<Scalar>>(name, std::move(first), build(shortcut, tables), relu),
                            "residual");
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::recomputed(std::string name, List list) {
  return [=](Tables& tables) -> std::unique_ptr<Unit<Scalar>> {
    return std::make_unique<Recomputed<Scalar>>(name, build(list, tables));
  };
}

template <class Scalar>
Layer<Scalar> Layers<Scalar>::tagged(std::string tag, One layer) {
  if (!layer) return {};
  return [=](Tables& tables) {
    std::unique_ptr<Unit<Scalar>> unit = layer(tables);
    unit->visit([&](Unit<Scalar>& part) {
      if (part.tag() != norm_tag && !part.communicates()) part.set_tag(tag);
    });
    return unit;
  };
}

template struct Layers<float>;
template struct Layers<double>;
template struct Layers<bfloat16>;
template struct Layers<float16>;

}  // namespace partita::nn
