// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <span>
#include <vector>

#include <partita/core/tree.hpp>
#include <partita/core/types.hpp>

namespace partita::parallel::server {

/// What gradients of a server's keys look like.
struct GradientShape {
  index_t keys = 0;    ///< elements of one
  index_t batch = 0;   ///< samples of a global batch: a worker sums its own with scale 1 / batch
  index_t leaves = 0;  ///< deterministic mode: chunks of the batch
  /// Deterministic mode: of each worker the nodes of the batch's tree that its gradient comes as, ascending; fast mode:
  /// empty, it comes as one sum.
  std::vector<std::vector<Node>> covers = {};

  index_t nodes(int worker) const {
    return leaves == 0 ? 1 : static_cast<index_t>(covers[static_cast<std::size_t>(worker)].size());
  }
};

/// Adds up the gradients of updates that are under way, on one server. The gradient of an update is the mean over the
/// samples that it holds, whatever the protocol: their sum, times batch / samples where these are not one batch.
///
/// Deterministic mode, updates of one global batch: nodes of the batch's tree, whoever handed them in and in whatever
/// order, so that the sum has the bits of a run without servers; where workers are missing, what is there is added in
/// the same tree. Else gradients are added in the order in which they are kept.
///
/// Memory   one sum for each update under way (in a tree: all workers' nodes), which is used again, and room for one
///          gradient on its way.
template <class Real>
class GradientStore {
 public:
  /// tree   Whether gradients of an update are of one global batch: Rules::one_batch.
  GradientStore(GradientShape shape, bool tree);

  index_t nodes(int worker) const { return shape_.nodes(worker); }
  index_t keys() const { return shape_.keys; }

  /// Where a worker's gradient for this update goes, node by node: to be filled, and then kept. Allocates for an update
  /// that is the first to need its memory.
  Vector<Real> place(index_t update, int worker, index_t node);
  /// All of its nodes are in place: of so many samples. Enqueued.
  void keep(const Exec& exec, index_t update, int worker, index_t samples);

  struct Mean {
    Vector<Real> gradient;  ///< (keys), until release
    index_t samples = 0;
  };
  /// Enqueued.
  Mean mean(const Exec& exec, index_t update);
  void release(index_t update);

  /// Bytes that it has allocated.
  index_t allocated() const { return allocated_; }

 private:
  struct Sum {
    Vector<Real> buffer;
    std::vector<bool> present;  // of a tree: nodes
    index_t samples = 0;
    bool begun = false;  // of a chain
  };
  Sum& sum(index_t update);
  Vector<Real> node(const Vector<Real>& of, index_t k) const;
  index_t first_node(int worker) const { return first_[static_cast<std::size_t>(worker)]; }
  Vector<Real> whole_tree(const Exec& exec, Sum& sum) const;
  void add_to_chain(const Exec& exec, Sum& sum, int worker);

  GradientShape shape_;
  bool tree_;
  std::vector<index_t> first_;  // node of each worker, among all
  std::vector<Node> nodes_;     // of all workers
  std::vector<Merge> merges_;   // of all nodes
  std::map<index_t, Sum> sums_;
  std::vector<Sum> free_;
  Vector<Real> arriving_;
  index_t allocated_ = 0;
};

}  // namespace partita::parallel::server
