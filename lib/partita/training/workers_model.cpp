// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/workers_model.hpp>

#include <algorithm>
#include <utility>

namespace partita::training {
namespace {

// What a worker needs of the table for its largest gradient.
parallel::server::SparseTable table_of(const TrainOptions& train, const ServerOptions& server,
                                       const ModelOptions& model, const SampleShape& sample, const WorkersData& has) {
  if (!sample.is_bag() || !pulls_for_each(server.protocol)) return {};
  index_t rows = 0;
  for (int w = 0; w < server.workers; ++w)
    rows = std::max(
        rows, has.rows.empty() ? train.division(server.workers, w).rows.extent : has.rows[static_cast<std::size_t>(w)]);
  return {sample.vocabulary, model.embedding, std::min(sample.vocabulary, rows * sample.tokens)};
}

}  // namespace

template <class Scalar>
WorkersModel<Scalar>::WorkersModel(const ServerParts<Scalar>& parts, WorkersData has)
    : whole_(parts.model), head_(parts.head), has_(std::move(has)) {
  has_.table = table_of(parts.train, parts.server, parts.model_options, parts.data.shape(), has_);
  if (has_.table.rows == 0) return;
  SampleShape sample = parts.data.shape();
  sample.vocabulary = has_.table.most;
  const nn::ModelOptions how = parts.train.model().without_weights();
  some_ = std::make_unique<nn::Model<Scalar>>(plan_model<Scalar>(parts.model_options, sample, how).make(how));
  head_of_some_ = std::make_unique<nn::WholeRows<Scalar>>(parts.train.loss, *some_);
}

template class WorkersModel<float>;

}  // namespace partita::training
