// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/sharded_gradients.hpp>

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel {

template <class Scalar>
ShardedGradients<Scalar>::ShardedGradients(const comm::Communicator& axis, comm::Via how,
                                           const nn::Model<Scalar>& model, const Shards& shards,
                                           const nn::Division& division)
    : shards_(&shards),
      group_of_unit_(groups_of_units(model.units(), shards)),
      weights_(model.table().size()),
      pieces_(std::ssize(division.pieces)),
      shard_(make_buffer<Real>("partita::parallel::ShardedGradients::shard", shards.size())),
      statistics_(
          make_buffer<Real>("partita::parallel::ShardedGradients::statistics", model.statistics_table().size())),
      holds_(static_cast<std::size_t>(buckets(model.units(), shards)), nowhere),
      bucket_of_(static_cast<std::size_t>(shards.groups().size()), nowhere),
      piece_of_(static_cast<std::size_t>(shards.groups().size()), 0),
      complete_(shards.groups()),
      flights_(holds_.size()) {
  buckets_ = make_buffer<Real>("partita::parallel::ShardedGradients::buckets",
                               static_cast<index_t>(holds_.size()) * shards.groups().longest());
  for (int g = 0; g < shards.groups().size(); ++g) {
    groups_with_elements_ += shards.groups()[g].extent > 0 ? 1 : 0;
    plans_.push_back(std::make_unique<comm::ReduceScatterPlan<Real>>(axis, how, shards.segments(g)));
  }
}

template <class Scalar>
std::vector<int> ShardedGradients<Scalar>::groups_of_units(const Units& units, const Shards& shards) {
  std::vector<int> groups;
  for (const nn::Unit<Scalar>* unit : units)
    groups.push_back(unit->reads().empty() ? nowhere : shards.groups().holding(unit->reads().front().offset));
  return groups;
}

// A group is written from its last unit on (a tied head, too) to its first one; one more travels meanwhile.
template <class Scalar>
int ShardedGradients<Scalar>::buckets(const Units& units, const Shards& shards) {
  const std::vector<int> groups = groups_of_units(units, shards);
  std::vector<int> first(static_cast<std::size_t>(shards.groups().size()), std::numeric_limits<int>::max());
  std::vector<int> last(first.size(), nowhere);
  for (int u = 0; u < static_cast<int>(groups.size()); ++u)
    if (const int group = groups[static_cast<std::size_t>(u)]; group != nowhere) {
      const auto g = static_cast<std::size_t>(group);
      first[g] = std::min(first[g], u);
      last[g] = u;
    }
  int most = 1;
  for (int u = 0; u < static_cast<int>(groups.size()); ++u) {
    int open = 0;
    for (std::size_t g = 0; g < last.size(); ++g) open += first[g] <= u && u <= last[g] ? 1 : 0;
    most = std::max(most, open);
  }
  return most + 1;
}

template <class Scalar>
index_t ShardedGradients<Scalar>::bytes(const Units& units, const Shards& shards, index_t statistics) {
  return (shards.size() + statistics + buckets(units, shards) * shards.groups().longest()) *
         static_cast<index_t>(sizeof(Real));
}

template <class Scalar>
Vector<typename ShardedGradients<Scalar>::Real> ShardedGradients<Scalar>::bucket(int group) const {
  const index_t at = bucket_of_[static_cast<std::size_t>(group)] * shards_->groups().longest();
  return part(buckets_, {at, shards_->groups()[group].extent});
}

template <class Scalar>
nn::Destination<typename ShardedGradients<Scalar>::Real> ShardedGradients<Scalar>::destination(const Exec& exec,
                                                                                               index_t piece,
                                                                                               index_t unit) {
  const int group = group_of_unit_[static_cast<std::size_t>(unit)];
  if (group == nowhere) return {};
  exec_ = exec;
  open(group, piece);
  return {nn::Window<Real>(bucket(group).data(), shards_->groups()[group]), kernels::Store::overwrite};
}

// The group has a bucket of its own for this piece.
template <class Scalar>
void ShardedGradients<Scalar>::open(int group, index_t piece) {
  const auto at = static_cast<std::size_t>(group);
  flights_.finish(group, [&](int ended) { arrived(ended); });  // the piece before
  if (bucket_of_[at] != nowhere) return;
  auto free = std::find(holds_.begin(), holds_.end(), nowhere);
  while (free == holds_.end()) {
    flights_.finish_oldest([&](int ended) { arrived(ended); });
    free = std::find(holds_.begin(), holds_.end(), nowhere);
  }
  *free = group;
  bucket_of_[at] = static_cast<int>(free - holds_.begin());
  piece_of_[at] = piece;
}

template <class Scalar>
nn::Destination<typename ShardedGradients<Scalar>::Real> ShardedGradients<Scalar>::statistics(index_t piece) {
  return {nn::Window<Real>(statistics_), piece == 0 ? kernels::Store::overwrite : kernels::Store::accumulate};
}

template <class Scalar>
bool ShardedGradients<Scalar>::fold(const Exec& exec, index_t piece, Range range) {
  if (range.offset >= weights_) return piece + 1 == pieces_;
  complete_.add(range, [&](int group) {
    auto& plan = *plans_[static_cast<std::size_t>(group)];
    flights_.launch(group, plan, [&] { plan.start(exec, bucket(group)); });
    complete_.restart(group);
    ++launched_;
  });
  return piece + 1 == pieces_;
}

template <class Scalar>
void ShardedGradients<Scalar>::arrived(int group) {
  const auto at = static_cast<std::size_t>(group);
  const Vector<Real> mine = part(bucket(group), shards_->in_group(group)), sum = part(shard_, shards_->packed(group));
  if (piece_of_[at] == 0)
    kernels::copy<Real>(exec_, mine, sum);
  else
    kernels::add<Real>(exec_, mine, sum);
  holds_[static_cast<std::size_t>(bucket_of_[at])] = nowhere;
  bucket_of_[at] = nowhere;
}

template <class Scalar>
void ShardedGradients<Scalar>::progress() {
  flights_.progress([&](int group) { arrived(group); });
}

template <class Scalar>
void ShardedGradients<Scalar>::finish() {
  const index_t expected = pieces_ * groups_with_elements_;
  const index_t launched = std::exchange(launched_, 0);
  if (launched != expected)
    refuse<Error>("ShardedGradients", fmt::format("{} groups of units were reduced in a step", launched),
                  fmt::format("{}", expected));
  flights_.finish([&](int group) { arrived(group); });
}

template class ShardedGradients<float>;
template class ShardedGradients<double>;
template class ShardedGradients<bfloat16>;
template class ShardedGradients<float16>;

}  // namespace partita::parallel
