// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/model.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/nn/init.hpp>

namespace partita::nn {
namespace {

// Of a model whose first unit is not here.
template <class Scalar>
bool first_reads_tokens(const LayerList<Scalar>& layers) {
  Tables aside;
  return layers.front()(aside)->reads_tokens();
}

}  // namespace

template <class Scalar>
Model<Scalar>::Model(const LayerList<Scalar>& layers, OutputShape output, const ModelOptions& options,
                     const std::vector<index_t>& cuts, const std::vector<int>& here)
    : places_(cuts.size() + 1, -1), output_(output) {
  tables_.chunks = options.chunks;
  LayerList<Scalar> all;
  std::copy_if(layers.begin(), layers.end(), std::back_inserter(all), [](const auto& layer) { return bool(layer); });
  std::vector<index_t> bounds = {0};
  bounds.insert(bounds.end(), cuts.begin(), cuts.end());
  bounds.push_back(std::ssize(all));
  for (std::size_t s = 0; s + 1 < bounds.size(); ++s) {
    if (bounds[s] < 0 || bounds[s] >= bounds[s + 1])
      refuse<UsageError>(
          "Model",
          fmt::format("stage {} begins at layer {} and ends before {} of {}", s, bounds[s], bounds[s + 1], all.size()),
          "ascending cuts that leave each stage at least one layer");
    const int number = static_cast<int>(s);
    if (!here.empty() && std::find(here.begin(), here.end(), number) == here.end()) continue;
    const index_t first_weight = tables_.parameters.size(), first_statistic = tables_.statistics.size();
    Units<Scalar> units;
    for (index_t l = bounds[s]; l < bounds[s + 1]; ++l) units.push_back(all[static_cast<std::size_t>(l)](tables_));
    places_[s] = static_cast<int>(stages_.size());
    stages_.emplace_back(Chain<Scalar>(std::move(units)), number, s + 2 == bounds.size());
    parameters_of_.push_back({first_weight, tables_.parameters.size() - first_weight});
    statistics_of_.push_back({first_statistic, tables_.statistics.size() - first_statistic});
    if (has_stage(number - 1) && stage(number).inputs() != stage(number - 1).outputs())
      refuse<ShapeError>("Model",
                         fmt::format("stage {} takes {} columns, the one before it gives {}", s, stage(number).inputs(),
                                     stage(number - 1).outputs()),
                         "the same");
    stages_.back().chain().visit([&](Unit<Scalar>& unit) {
      unit.set_number(std::ssize(units_));
      units_.push_back(&unit);
    });
  }
  if (!here.empty() && stages_.size() != here.size())
    refuse<UsageError>("Model", fmt::format("{} stages, of which {} are asked for", places_.size(), here.size()),
                       "numbers of its stages, each once");
  reads_tokens_ = has_first_stage() ? stage(0).chain().units().front()->reads_tokens() : first_reads_tokens(all);
  if (has_last_stage() && output_.labels * output_.classes != outputs())
    refuse<ShapeError>("Model", fmt::format("{} gives {} columns", units_.back()->name(), outputs()),
                       fmt::format("{} labels of {} classes", output_.labels, output_.classes));
  const index_t kept = options.weights ? tables_.parameters.size() : 0;
  parameters_ = Vector<Scalar>("partita::nn::Model::parameters", static_cast<std::size_t>(kept));
  running_ = Vector<Sum<Scalar>>("partita::nn::Model::running", tables_.statistics.size());
  weights_ = std::make_unique<Window<const Scalar>>(ConstVector<Scalar>(parameters_));
  initialise(tables_.parameters, options.seed, {0, kept}, parameters_);
  initialise(tables_.statistics, options.seed, running_);
}

template <class Scalar>
std::size_t Model<Scalar>::place(int stage) const {
  if (!has_stage(stage))
    refuse<Error>("Model", fmt::format("stage {} of {}", stage, stage_count()), "one that is here");
  return static_cast<std::size_t>(places_[static_cast<std::size_t>(stage)]);
}

template <class Scalar>
Call<Scalar> Model<Scalar>::call(kernels::Context& context, Observer& observer,
                                 const Window<const Scalar>& weights) const {
  return {.context = context,
          .weights = weights,
          .running = Window<const Sum<Scalar>>(ConstVector<Sum<Scalar>>(running_)),
          .observer = observer};
}

template <class Scalar>
PassFlop Model<Scalar>::flop(index_t B) const {
  PassFlop sum;
  for (const Stage<Scalar>& stage : stages_) sum += stage.chain().flop(B, stage.number() > 0);
  return sum;
}

template <class Scalar>
std::size_t Model<Scalar>::bytes() const {
  return parameters_.extent(0) * sizeof(Scalar) +
         static_cast<std::size_t>(tables_.statistics.size()) * sizeof(Sum<Scalar>);
}

template <class Scalar>
std::string Model<Scalar>::describe() const {
  std::string text = fmt::format("{:<28} {:<14} {:>9} {:>9} {:>12} {:>12}\n", "unit", "counts as", "inputs", "outputs",
                                 "parameters", "flop a row");
  for (const Unit<Scalar>* unit : units_) {
    index_t parameters = 0;
    for (const Range& range : unit->ranges()) parameters += range.extent;
    text += fmt::format("{:<28} {:<14} {:>9} {:>9} {:>12} {:>12.4g}\n", unit->name(), unit->tag(), unit->inputs(),
                        unit->outputs(), parameters, unit->flop(1).forward);
  }
  const PassFlop flop = this->flop(1);
  text += fmt::format("{} parameters in {} tensors; forward {:.4g}, backward {:.4g} flop a row", table().size(),
                      table().parameters().size(), flop.forward, flop.backward_input + flop.backward_weights);
  if (flop.again > 0) text += fmt::format("; forward again in backward {:.4g}", flop.again);
  return text + "\n";
}

template class Model<float>;
template class Model<double>;
template class Model<bfloat16>;
template class Model<float16>;

}  // namespace partita::nn
