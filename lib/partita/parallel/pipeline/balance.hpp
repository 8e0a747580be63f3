// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#include <partita/core/index.hpp>
#include <partita/core/named.hpp>
#include <span>
#include <vector>
namespace partita::parallel {
enum class Balance { equal, cost, measured };
inline constexpr Named<Balance> balances[] = {
    {"equal", Balance::equal}, {"cost", Balance::cost}, {"measured", Balance::measured}};
std::vector<index_t> balance_stages(std::span<const double> cost, int stages);
std::vector<index_t> equal_stages(index_t layers, int stages);
}  // namespace partita::parallel
