// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <partita/comm/mesh.hpp>
#include <partita/parallel/spatial/between.hpp>

#include "cnn_problem.hpp"

namespace partita::parallel::test {

/// Three groups, so that rows are halved twice.
inline nn::CnnShape tall_cnn(nn::CnnKind kind, index_t rows, nn::Recompute recompute = nn::Recompute::none) {
  nn::CnnShape shape = small_cnn(kind, recompute);
  shape.rows = rows;
  shape.width = {3, 4, 5};
  return shape;
}

struct SpatialCase {
  index_t batch = 8;
  int data = 1;  ///< replicas; the other ranks share images
  bool overlap = true;
  Options options;
};

/// Replicas of a CNN, the image rows of each shared by some ranks, beside the whole one on one rank.
template <class Scalar>
struct SpatialReplica {
  SpatialReplica(const comm::Communicator& world, const nn::CnnShape& shape, const SpatialCase& of)
      : deterministic(of.options.chunks > 0),
        mesh(world, {{"data", of.data}, {"spatial", world.size() / of.data}}),
        peers(mesh.plane({"data", "spatial"})),
        rows(mesh["spatial"], {of.options.allreduce, deterministic, of.overlap}, shape.rows),
        replica(shape, deterministic ? mesh["data"] : peers, share(mesh["data"], of), of.options, mesh["spatial"],
                features(shape), [&](BatchNormAxis& norms) {
                  return rows.ranks().size() == 1 ? nn::cnn_layers<Scalar>(shape)
                                                  : nn::cnn_layers<Scalar>(shape, SpatialBetween<Scalar>(rows, norms));
                }) {}

  static Share share(const comm::Communicator& data, const SpatialCase& of) {
    Share mine{nn::divide(of.batch, data.size(), data.rank(), of.options.micro_batches, of.options.chunks), {}};
    for (index_t b = mine.division.rows.offset; b < mine.division.rows.end(); ++b) mine.rows.push_back(b);
    return mine;
  }
  Slice features(const nn::CnnShape& shape) const {
    const Slice mine = rows.rows({shape.rows, shape.columns, shape.channels});
    const index_t row = shape.columns * shape.channels;
    return {mine.offset * row, mine.extent * row, shape.rows * row};
  }

  bool deterministic;
  comm::Mesh mesh;
  comm::Communicator peers;
  SpatialAxis<Scalar> rows;
  CnnReplica<Scalar> replica;
};

/// The whole, on this rank alone.
template <class Scalar>
struct WholeImages {
  WholeImages(const comm::Communicator& world, const nn::CnnShape& shape, const SpatialCase& of)
      : alone(world.split(world.rank(), 0, "alone")),
        replica(shape, alone, SpatialReplica<Scalar>::share(alone, of), of.options, false) {}

  comm::Communicator alone;
  CnnReplica<Scalar> replica;
};

}  // namespace partita::parallel::test
