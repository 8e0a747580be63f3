// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/core/named.hpp>

// Which layers make a stage of a pipeline: contiguous ones, at least one in each stage. Pure functions; costs are of
// layers, in any unit, and not negative.

namespace partita::parallel {

/// What is to be even: the number of layers, their cost in closed form, or their time on this machine.
enum class Balance { equal, cost, measured };

inline constexpr Named<Balance> balances[] = {
    {"equal", Balance::equal}, {"cost", Balance::cost}, {"measured", Balance::measured}};

/// The number of layers in each stage, as even as can be (core/partition.hpp).
///
/// Throws   UsageError for fewer layers than stages.
std::vector<index_t> equal_stages(index_t layers, int stages);

/// The number of layers in each stage such that the costliest stage costs least; among these the smallest sum of
/// squares of the stages' costs (to 12 digits), then the earliest cuts.
///
/// Throws   UsageError for fewer layers than stages.
/// Cost     O(stages x layers^2), by dynamic programming over the layers that are left.
std::vector<index_t> balance_stages(std::span<const double> cost, int stages);

/// The cost of each stage.
///
/// Throws   ShapeError unless the counts are of all layers.
std::vector<double> stage_costs(std::span<const double> cost, std::span<const index_t> counts);

/// Largest / mean cost of a stage: 1 is even. 1 where nothing costs anything.
double imbalance(std::span<const double> cost, std::span<const index_t> counts);

/// By how much the costliest stage of equal_stages is above that of `counts`: a ratio. 1 where nothing costs anything.
double gain_over_equal(std::span<const double> cost, std::span<const index_t> counts);

}  // namespace partita::parallel
