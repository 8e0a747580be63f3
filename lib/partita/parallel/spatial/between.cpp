// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/between.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/parallel/spatial/batchnorm.hpp>
#include <partita/parallel/spatial/conv2d.hpp>
#include <partita/parallel/spatial/counted_once.hpp>
#include <partita/parallel/spatial/pool2d.hpp>

namespace partita::parallel {
namespace {

// Parts count as `tag`, messages as `sends`.
template <class Scalar, class Unit>
std::unique_ptr<nn::Unit<Scalar>> tagged(std::unique_ptr<Unit> unit, const char* tag, const char* sends) {
  unit->visit([&](nn::Unit<Scalar>& part) { part.set_tag(tag); });
  unit->set_tag(sends);
  return unit;
}

constexpr const char *halo = "halo", *sum = "all-reduce";

}  // namespace

template <class Scalar>
nn::Layer<Scalar> SpatialBetween<Scalar>::batchnorm2d(const std::string& name, const nn::Image& image,
                                                      bool relu) const {
  return [=, axis = axis_, norms = norms_](nn::Tables& tables) -> std::unique_ptr<nn::Unit<Scalar>> {
    if (axis->options().deterministic)
      return tagged<Scalar>(std::make_unique<SpatialBatchNorm<Scalar>>(tables, name, image, relu, *axis), "norm", sum);
    const nn::Image here = axis->here(image);
    const double share = static_cast<double>(here.rows) / static_cast<double>(image.rows);
    return tagged<Scalar>(std::make_unique<SyncBatchNorm<Scalar>>(tables, name, here, relu, *norms, share), "norm",
                          sum);
  };
}

template <class Scalar>
nn::Layer<Scalar> SpatialBetween<Scalar>::groupnorm(const std::string& name, const nn::Image&, index_t groups) const {
  refuse<UsageError>("model.norm_groups",
                     fmt::format("{} groups for {}, and ranks share the rows of an image", groups, name),
                     "0 (batch norms), or parallel.spatial = 1");
}

template <class Scalar>
nn::Layer<Scalar> SpatialBetween<Scalar>::conv2d(const std::string& name, const kernels::Conv2dShape& shape,
                                                 index_t reduction) const {
  return [=, axis = axis_](nn::Tables& tables) -> std::unique_ptr<nn::Unit<Scalar>> {
    return tagged<Scalar>(std::make_unique<SpatialConv2d<Scalar>>(tables, name, shape, reduction, *axis), "convolution",
                          halo);
  };
}

template <class Scalar>
nn::Layer<Scalar> SpatialBetween<Scalar>::pool2d(const std::string& name, nn::Pool pool,
                                                 const kernels::Pool2dShape& shape, index_t reduction) const {
  return [=, axis = axis_](nn::Tables&) -> std::unique_ptr<nn::Unit<Scalar>> {
    return tagged<Scalar>(std::make_unique<SpatialPool2d<Scalar>>(name, pool, shape, reduction, *axis), "pooling",
                          halo);
  };
}

template <class Scalar>
nn::Layer<Scalar> SpatialBetween<Scalar>::global_average_pool(const std::string& name, const nn::Image& image) const {
  return [=, axis = axis_](nn::Tables&) -> std::unique_ptr<nn::Unit<Scalar>> {
    return tagged<Scalar>(std::make_unique<SpatialGlobalPool<Scalar>>(name, image, *axis), "pooling", sum);
  };
}

template <class Scalar>
nn::Layer<Scalar> SpatialBetween<Scalar>::linear_by_all(const std::string& name, const nn::LinearShape& shape) const {
  const nn::Layer<Scalar> linear = nn::Layers<Scalar>::linear(name, shape);
  if (axis_->options().deterministic) return linear;
  return [=, counts = axis_->ranks().is_root()](nn::Tables& tables) -> std::unique_ptr<nn::Unit<Scalar>> {
    return std::make_unique<CountedOnce<Scalar>>(linear(tables), counts);
  };
}

template class SpatialBetween<float>;
template class SpatialBetween<double>;
template class SpatialBetween<bfloat16>;
template class SpatialBetween<float16>;

}  // namespace partita::parallel
