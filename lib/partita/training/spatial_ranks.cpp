// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/spatial_ranks.hpp>

#include <utility>

#include <partita/core/float16.hpp>
#include <partita/metrics/table.hpp>

namespace partita::training {

template <class Scalar>
SpatialRanks<Scalar>::SpatialRanks(const comm::Mesh& mesh, const PipelineMesh& extents, comm::Allreduce how,
                                   const TrainOptions& train, const ModelOptions& model, index_t rows)
    : peers_(mesh.plane({"data", "spatial"})),
      adders_(extents.spatial > 1 && !train.deterministic ? peers_ : mesh["data"]),
      norms_(extents.spatial == 1   ? mesh["data"]
             : model.sync_batchnorm ? peers_
                                    : mesh["spatial"],
             how) {
  if (extents.spatial > 1)
    rows_.emplace(mesh["spatial"], parallel::SpatialOptions{how, train.deterministic, extents.overlap_halo}, rows);
}

template <class Scalar>
void attach_halos(const Parts<Scalar>& parts, driver::Workload& work) {
  if (parts.rows == nullptr) return;
  work.tables = [parts, before = std::move(work.tables)] {
    std::vector<metrics::Table> tables = before();
    const comm::Communicator& world = parts.world;
    const nn::OverlapTime halos = parts.rows->step_time();
    const index_t rows = parts.data.shape().image.rows;
    const Slice mine = parts.rows->slices().of(parts.rows->ranks().rank(), rows, 1);
    const auto seconds = [&](const char* name, double value, const char* long_name) {
      return metrics::Column{name, {"rank"}, world.gather(value), {{"long_name", long_name}, {"units", "s"}}};
    };
    const auto count = [&](const char* name, index_t value, const char* long_name) {
      return metrics::Column{
          name, {"rank"}, world.gather(std::int64_t{value}), {{"long_name", long_name}, {"units", "1"}}};
    };
    tables.push_back({.group = "/strategy",
                      .columns = {count("first_image_row", mine.offset, "of the rows of every image that the rank has"),
                                  count("image_rows", mine.extent, "of every image that the rank has"),
                                  seconds("halo_exposed_s", halos.exposed_s,
                                          "of a step, in which it packs, posts or waits for rows of neighbours"),
                                  seconds("halo_hidden_s", halos.hidden_s,
                                          "of a step, in which rows of neighbours travel and it computes")},
                      .attributes = {{"overlap_halo", std::int64_t{parts.rows->options().overlap}}}});
    return tables;
  };
}

#define PARTITA_SPATIAL_RANKS(S)  \
  template class SpatialRanks<S>; \
  template void attach_halos(const Parts<S>&, driver::Workload&);
PARTITA_SPATIAL_RANKS(float)
PARTITA_SPATIAL_RANKS(bfloat16)
PARTITA_SPATIAL_RANKS(float16)
#undef PARTITA_SPATIAL_RANKS

}  // namespace partita::training
