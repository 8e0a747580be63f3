// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/mesh_options.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace partita::training {

MeshExtents read_mesh_extents(config::Deck& deck, const char* key, const char* doc, int ranks) {
  MeshExtents mesh;
  const auto axis = [&](const char* of, int& extent, int fallback, const std::string& help) {
    index_t value = fallback;
    deck.integer(of, value, {0, 1 << 20}, {help, "ranks"});
    extent = static_cast<int>(value);
  };
  axis(key, mesh.parts, 0, fmt::format("{}; 0 = all that parallel.data leaves", doc));
  axis("parallel.data", mesh.replicas, mesh.parts > 0 ? 0 : 1,
       fmt::format("replicas of the model, which share the rows of a batch; 0 = all that {} leaves", key));
  if (mesh.parts == 0 && mesh.replicas == 0) mesh.replicas = 1;
  const int all = ranks > 0 ? ranks : std::max(mesh.parts, 1) * std::max(mesh.replicas, 1);
  if (mesh.parts == 0) mesh.parts = all % mesh.replicas == 0 ? all / mesh.replicas : 1;
  if (mesh.replicas == 0) mesh.replicas = all % mesh.parts == 0 ? all / mesh.parts : 1;
  if (mesh.parts * static_cast<index_t>(mesh.replicas) != all)
    deck.reject(deck.given(key) ? key : "parallel.data",
                fmt::format("{} replicas of {} ranks each, on {} ranks", mesh.replicas, mesh.parts, all),
                fmt::format("a mesh of all ranks: parallel.data x {}", key));
  return mesh;
}

}  // namespace partita::training
