// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/extents.hpp>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include <partita/core/extent.hpp>

namespace partita::training {
namespace {

// Far beyond what one tensor can have anywhere, and far enough below the end of index_t.
constexpr index_t most_elements = index_t{1} << 40;

struct Factor {
  const char* key;  // that it comes from
  index_t extent;
};
using Tensor = std::vector<Factor>;

std::vector<Tensor> mlp_tensors(const std::vector<index_t>& hidden, Factor features, index_t classes, Factor batch) {
  std::vector<Factor> widths = {features};
  for (const index_t width : hidden) widths.push_back({"model.hidden", width});
  widths.push_back({"data.classes", classes});
  std::vector<Tensor> tensors;
  for (std::size_t l = 0; l < widths.size(); ++l) {
    tensors.push_back({batch, widths[l]});
    if (l > 0) tensors.push_back({widths[l - 1], widths[l]});
  }
  return tensors;
}

std::vector<Tensor> bag_tensors(const nn::BagShape& shape, Factor batch) {
  const Factor C{"model.embedding", shape.C};
  std::vector<Tensor> tensors = mlp_tensors(shape.hidden, C, shape.classes, batch);
  tensors.push_back({{"model.vocabulary", shape.V}, C});
  tensors.push_back({batch, {"data.keys_per_sample", shape.T}});
  return tensors;
}

std::vector<Tensor> gpt_tensors(const nn::GptShape& shape, const SampleShape& sample, Factor batch) {
  const Factor V{"model.vocabulary", sample.classes}, T{"model.tokens", sample.tokens}, C{"model.width", shape.C};
  const Factor F{shape.F > 0 ? "model.hidden" : "model.width", shape.F > 0 ? shape.F : checked_product(4, shape.C)};
  const Factor three{"model.width", 3}, H{"model.heads", shape.H};
  std::vector<Tensor> tensors = {{V, C},        {T, C},       {three, C, C}, {C, F}, {batch, T, three, C},
                                 {batch, T, F}, {batch, T, V}};
  if (shape.attention == kernels::AttentionAlgorithm::plain) tensors.push_back({batch, H, T, T});
  return tensors;
}

std::vector<Tensor> cnn_tensors(const nn::CnnShape& shape, const SampleShape& sample, Factor batch) {
  constexpr index_t window = 9;
  Factor before{"data.image", sample.image.channels};
  index_t rows = sample.image.rows, columns = sample.image.columns;
  std::vector<Tensor> tensors = {{batch, {"data.image", rows}, {"data.image", columns}, before}};
  for (const index_t width : shape.width) {
    const Factor channels{"model.channels", width};
    tensors.push_back({{"model.channels", window}, before, channels});
    tensors.push_back({{"model.channels", window}, channels, channels});
    tensors.push_back({batch, {"data.image", rows}, {"data.image", columns}, channels});
    before = channels;
    rows = std::max<index_t>(rows / 2, 1);
    columns = std::max<index_t>(columns / 2, 1);
  }
  return tensors;
}

std::vector<Tensor> tensors_of(const ModelOptions& model, const SampleShape& sample, Factor batch) {
  switch (model.kind) {
    case ModelKind::gpt:
      return gpt_tensors(model.gpt, sample, batch);
    case ModelKind::cnn:
      return cnn_tensors(model.cnn, sample, batch);
    case ModelKind::bag:
      return bag_tensors(bag_shape(model, sample), batch);
    default:
      return mlp_tensors(model.mlp.hidden, {"data.features", sample.features}, sample.classes, batch);
  }
}

}  // namespace

std::optional<KeyProblem> find_extent_problem(const ModelOptions& model, const SampleShape& sample, index_t batch) {
  for (const Tensor& tensor : tensors_of(model, sample, {"train.batch", batch})) {
    index_t elements = 1;
    for (const Factor& factor : tensor) elements = checked_product(elements, factor.extent);
    if (elements <= most_elements) continue;
    std::string shape;
    for (const Factor& factor : tensor) shape += fmt::format("{}{}", shape.empty() ? "" : " x ", factor.extent);
    const Factor& largest = *std::ranges::max_element(tensor, {}, &Factor::extent);
    return KeyProblem{largest.key, fmt::format("a tensor of {} elements", shape),
                      fmt::format("at most {} in one", most_elements)};
  }
  return std::nullopt;
}

}  // namespace partita::training
