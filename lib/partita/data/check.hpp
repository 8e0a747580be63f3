// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>

#include <partita/core/types.hpp>
#include <partita/data/sampler.hpp>

// What the sources of batches share: which sample is row b, and checks of extents.

namespace partita::data::detail {

/// Held-out samples of what is made up have indices from here on, which no training set reaches.
inline constexpr index_t held_out_origin = index_t{1} << 40;

struct PickFromSampler {
  Sampler sampler;
  index_t step;
  index_t offset;
  KOKKOS_INLINE_FUNCTION index_t operator()(index_t b) const { return sampler.sample(step, offset + b); }
};

struct PickInOrder {
  index_t first;
  KOKKOS_INLINE_FUNCTION index_t operator()(index_t b) const { return first + b; }
};

struct PickListed {
  ConstVector<index_t> samples;
  KOKKOS_INLINE_FUNCTION index_t operator()(index_t b) const { return samples(b); }
};

/// "(3, 784)".
std::string extents(std::size_t rows, std::size_t columns);

/// Throws   ShapeError unless label has a row for each of x.
void check_labels(const char* function, std::size_t x_rows, std::size_t label_rows);

/// Throws   ShapeError unless rows is a part of the sampler's batch and x and label have rows.extent rows.
void check_rows(const char* function, const Sampler& sampler, Slice rows, std::size_t x_rows, std::size_t label_rows);

/// Throws   ShapeError unless x and label have a row for each sample of a list.
void check_list(const char* function, std::size_t samples, std::size_t x_rows, std::size_t label_rows);

}  // namespace partita::data::detail
