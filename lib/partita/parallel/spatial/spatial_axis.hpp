// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <map>
#include <memory>
#include <vector>

#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/nn/units/image.hpp>
#include <partita/nn/window.hpp>
#include <partita/parallel/flights.hpp>
#include <partita/parallel/spatial/row_slices.hpp>

namespace partita::parallel {

struct SpatialOptions {
  comm::Allreduce how = comm::Allreduce::mpi;
  bool deterministic = false;  ///< sums over image rows travel as nodes of trees
  bool overlap = true;         ///< halos travel while rows are computed that need none
};

/// The ranks that share the rows of every image, their slices, and their collectives: plans of sums are made at the
/// first call of a size and kept, shared by all units, since one after the other is under way.
///
/// Traffic  of the plans, on the axis.
template <class Scalar>
class SpatialAxis {
 public:
  using Real = nn::Sum<Scalar>;

  /// rows: of the network's input. axis must outlive this. Not collective.
  SpatialAxis(const comm::Communicator& axis, const SpatialOptions& options, index_t rows)
      : axis_(axis), options_(options), slices_(rows, axis.size()) {}

  const comm::Communicator& ranks() const { return axis_; }
  const SpatialOptions& options() const { return options_; }
  const RowSlices& slices() const { return slices_; }
  /// Rows that are here of an image.
  Slice rows(const nn::Image& image) const { return slices_.of(axis_.rank(), image.rows, image.reduction); }
  /// What is here of it.
  nn::Image here(const nn::Image& image) const {
    return {rows(image).extent, image.columns, image.channels, image.reduction};
  }

  /// Nodes of the tree over an image's rows that are mine, counted from my first row: in deterministic mode those that
  /// tree_allreduce takes, else one, of all.
  std::vector<Node> my_nodes(const nn::Image& image) const;
  /// sums (my nodes, n) -> root (n), the same bits on all ranks: the tree over the image's rows, or in fast mode any
  /// sum. Collective; fences exec, and waits.
  void add_nodes(const Exec& exec, const nn::Image& image, ConstVector<double> sums, Vector<double> root) {
    add(doubles_, exec, image, sums, root);
  }
  void add_nodes(const Exec& exec, const nn::Image& image, ConstVector<float> sums, Vector<float> root) {
    add(floats_, exec, image, sums, root);
  }

  /// Halos on their way; finish them in the same pass of the unit that launched them.
  Flights& flights() { return flights_; }
  /// What follows is one step whose halos' time counts, or one that does not; it ends with end_step, which says how
  /// long they took, and what comes after that is no step.
  void begin_step(bool counts) { counts_ = counts; }
  nn::OverlapTime end_step();
  /// Mean of the steps that count.
  nn::OverlapTime step_time() const;

 private:
  // By numbers of a sum, and of trees the image's rows and reduction.
  template <class T>
  using Plans = std::map<std::array<index_t, 3>, std::unique_ptr<comm::Plan<T>>>;
  template <class T>
  void add(Plans<T>& plans, const Exec& exec, const nn::Image& image, ConstVector<T> sums, Vector<T> root);

  const comm::Communicator& axis_;
  SpatialOptions options_;
  RowSlices slices_;
  Plans<double> doubles_;
  Plans<float> floats_;
  Flights flights_{4};
  bool counts_ = false;
  index_t steps_ = 0;
  nn::OverlapTime all_steps_;
};

}  // namespace partita::parallel
