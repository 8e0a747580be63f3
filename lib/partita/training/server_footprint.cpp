// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/server_footprint.hpp>

#include <algorithm>

#include <partita/parallel/server/virtual/network.hpp>
#include <partita/training/footprint.hpp>

namespace partita::training {

template <class Scalar>
std::vector<driver::MemoryNeed> server_memory_needs(const TrainOptions& train, const ServerOptions& server,
                                                    const ModelOptions& model, const Dataset& data, bool keeps_record) {
  namespace ps = parallel::server;
  const nn::Division division = train.division(server.workers, 0);
  std::vector<driver::MemoryNeed> needs = memory_needs<Scalar>(train, model, data, division, {}, 1, 0, keeps_record);
  const double weights = needs.front().bytes / sizeof(Scalar);  // parameters come first
  const bool elastic = server.protocol.protocol == ps::Protocol::elastic,
             emulated = server.engine == Engine::virtual_time;
  // Of a sparse table a worker has the rows that a gradient touches.
  double has = weights;
  if (data.shape().is_bag() && ps::pulls_for_each(server.protocol)) {
    const auto table = static_cast<double>(data.shape().vocabulary), width = static_cast<double>(model.embedding);
    has -= (table - std::min(table, static_cast<double>(division.rows.extent * data.shape().tokens))) * width;
  }
  const double windows = (emulated ? server.workers : 1) * has * (elastic ? 2 : 1);
  const double nodes = train.deterministic ? static_cast<double>(train.chunks) : 2;
  const bool travels = emulated && (server.calibrated_network || !ps::Network(server.network, 1).free());
  const double under_way = travels ? server.workers * has * (train.deterministic ? nodes / server.workers : 1) : 0;
  needs.push_back({"weights of workers", windows * sizeof(Scalar)});
  needs.push_back({"gradients kept", (nodes * weights + under_way) * sizeof(nn::Sum<Scalar>)});
  return needs;
}

template std::vector<driver::MemoryNeed> server_memory_needs<float>(const TrainOptions&, const ServerOptions&,
                                                                    const ModelOptions&, const Dataset&, bool);

}  // namespace partita::training
