// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <partita/nn/units/conv2d.hpp>
#include <partita/parallel/spatial/halo.hpp>
#include <partita/parallel/spatial/spatial_axis.hpp>

namespace partita::parallel {

/// nn::Conv2d of image rows that ranks share: in, the rows that are here; out, the rows that are made here.
///
///     forward    halo of x starts | y of the rows here, as if there were no others | halo ends | rows of y at its
///                edges once more, from windows of rows here and rows of others
///     backward   halo of dy starts | dW from x, the halo of forward and dy | dx likewise | halo ends | dx at the edges
///
/// Without overlap a halo ends before anything is computed: the bits are the same. An element of y and dx is the chain
/// that it is in the whole image. dW is a part, of the rows of dy that are here: the exchange adds it up; or, in
/// deterministic mode, the root of the tree over all rows, complete on every rank.
///
/// The observer is told of the convolution as the unit <name>, and of messages as <name>.halo.
/// Memory   saved: the halo of x. workspace: messages, one window, one strip of results; deterministic mode: the nodes.
/// Traffic  halo_bytes; backward without dx sends nothing.
/// Source   Dryden et al. 2019, "Improving strong-scaling of CNN training by exploiting finer-grained parallelism".
template <class Scalar>
class SpatialConv2d final : public nn::Unit<Scalar> {
 public:
  /// shape, reduction: of the whole image, and of its input. axis must outlive the unit.
  /// Throws   as row_stencil.
  SpatialConv2d(nn::Tables& tables, const std::string& name, const kernels::Conv2dShape& shape, index_t reduction,
                SpatialAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override;
  nn::Footprint footprint(index_t B) const override;
  bool communicates() const override { return true; }
  index_t moments() const override { return 4 + 4; }  // start and end of two halos, and two edges of y and of dx
  nn::Restoring restoring(index_t) const override { return {}; }
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  /// The halo alone.
  void restore(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  using Real = nn::Sum<Scalar>;
  struct Buffers {
    Vector<Scalar> halo_of_x;            // saved
    Vector<Scalar> leaving, halo_of_dy;  // messages
    Vector<Scalar> window, strip;        // rows that an edge reads, rows that it makes; dW: all rows of x that it reads
    Matrix<Real> nodes;                  // deterministic mode
    Vector<Real> root;
  };
  Buffers cut(nn::Cutter& saved, nn::Cutter& workspace, index_t B) const;
  Buffers cut(const nn::Call<Scalar>& call, std::size_t B) const;
  // x's halo on its way, and there.
  void start_halo_of_x(const nn::Call<Scalar>& call, const Buffers& memory, ConstMatrix<Scalar> x) const;
  void finish_halo(const nn::Call<Scalar>& call, nn::Part part, const Halo<Scalar>& halo) const;
  void gradient(const nn::Call<Scalar>& call, const Buffers& memory, ConstMatrix<Scalar> x,
                ConstMatrix<Scalar> dy) const;
  // Fills rows of `made` that others' rows go into: compute(shape's rows in, out, window, strip).
  template <class Compute>
  void at_edges(const Exec& exec, const std::vector<RowBlock>& edges, const Halo<Scalar>& halo, index_t read_row,
                index_t made_row, const Buffers& memory, ConstMatrix<Scalar> own, ConstVector<Scalar> arrived,
                Slice here, Matrix<Scalar> made, const Compute& compute) const;
  nn::Image outputs_image() const;

  SpatialAxis<Scalar>& axis_;
  std::unique_ptr<nn::Conv2d<Scalar>> conv_;
  index_t reduction_;
  RowStencil rows_;
  std::unique_ptr<Halo<Scalar>> halo_of_x_, halo_of_dy_;
  std::vector<Node> nodes_;  // deterministic mode: of the rows of y
};

}  // namespace partita::parallel
