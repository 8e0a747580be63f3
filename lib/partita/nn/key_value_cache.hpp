// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>

#include <partita/nn/memory.hpp>

namespace partita::nn {

/// Keys and values of tokens that went through a model, for tokens that follow: of each attention unit's name two
/// matrices (B S, H D), S = context(). Models that share it go on with each other's tokens.
template <class Scalar>
class KeyValueCache {
 public:
  struct Tokens {
    Matrix<Scalar> keys, values;
  };

  /// For rows `rows` of the batches that come, and `context` tokens of each.
  KeyValueCache(Slice rows, index_t context) : rows_(rows), context_(context) {}

  index_t context() const { return context_; }
  Slice rows() const { return rows_; }
  /// Those of a unit with so many columns; allocates them for a name that is new.
  const Tokens& of(const std::string& unit, index_t columns) {
    const auto found = all_.find(unit);
    if (found != all_.end()) return found->second;
    const auto numbers = [&](const char* label) {
      return Matrix<Scalar>(label, static_cast<std::size_t>(rows_.extent * context_),
                            static_cast<std::size_t>(columns));
    };
    return all_
        .emplace(unit,
                 Tokens{numbers("partita::nn::KeyValueCache::keys"), numbers("partita::nn::KeyValueCache::values")})
        .first->second;
  }
  /// 2 B S H D numbers of each unit.
  index_t bytes() const {
    index_t sum = 0;
    for (const auto& [unit, tokens] : all_) sum += bytes_of(tokens.keys, tokens.values);
    return sum;
  }

 private:
  Slice rows_;
  index_t context_;
  std::map<std::string, Tokens> all_;
};

}  // namespace partita::nn
