// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/config/deck.hpp>

namespace partita::training {

/// Replicas of a model that several ranks hold between them.
struct MeshExtents {
  int replicas = 1;  ///< that share the rows of a batch
  int parts = 1;     ///< ranks of each
};

/// Declares and reads `key`, the ranks that hold one replica (`doc`: between them), and parallel.data, the replicas; 0
/// of either is all that the other leaves. All `ranks` are used; 0: nobody knows how many there will be.
MeshExtents read_mesh_extents(config::Deck& deck, const char* key, const char* doc, int ranks);

}  // namespace partita::training
