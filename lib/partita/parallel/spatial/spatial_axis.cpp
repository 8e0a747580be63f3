// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/spatial_axis.hpp>

#include <algorithm>

#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::parallel {

template <class Scalar>
std::vector<Node> SpatialAxis<Scalar>::my_nodes(const nn::Image& image) const {
  const Slice mine = rows(image);
  if (!options_.deterministic) return {{0, mine.extent}};
  std::vector<Node> nodes = tree_cover(mine.global, mine.offset, mine.end());
  for (Node& node : nodes) node = {node.lo - mine.offset, node.hi - mine.offset};
  return nodes;
}

template <class Scalar>
template <class T>
void SpatialAxis<Scalar>::add(Plans<T>& plans, const Exec& exec, const nn::Image& image, ConstVector<T> sums,
                              Vector<T> root) {
  const auto n = static_cast<index_t>(root.extent(0));
  const bool tree = options_.deterministic;
  const std::array<index_t, 3> key{n, tree ? image.rows : 0, tree ? image.reduction : 0};
  auto found = plans.find(key);
  if (found == plans.end()) {
    std::unique_ptr<comm::Plan<T>> plan;
    if (tree)
      plan = std::make_unique<comm::TreeAllreducePlan<T>>(
          axis_, options_.how, comm::TreeNodes{n, image.rows, 0, slices_.bounds(image.rows, image.reduction)});
    else
      plan = std::make_unique<comm::AllreducePlan<T>>(axis_, options_.how, n);
    found = plans.emplace(key, std::move(plan)).first;
  }
  if (tree) {
    found->second->run(exec, sums, root);
  } else {
    kernels::copy<T>(exec, sums, root);
    found->second->run(exec, root);
  }
}

template <class Scalar>
nn::OverlapTime SpatialAxis<Scalar>::end_step() {
  const nn::OverlapTime time = flights_.take_time();
  if (counts_) {
    all_steps_.exposed_s += time.exposed_s;
    all_steps_.hidden_s += time.hidden_s;
    ++steps_;
  }
  counts_ = false;
  return time;
}

template <class Scalar>
nn::OverlapTime SpatialAxis<Scalar>::step_time() const {
  const auto n = static_cast<double>(std::max<index_t>(steps_, 1));
  return {all_steps_.exposed_s / n, all_steps_.hidden_s / n};
}

template class SpatialAxis<float>;
template class SpatialAxis<double>;
template class SpatialAxis<bfloat16>;
template class SpatialAxis<float16>;

}  // namespace partita::parallel
