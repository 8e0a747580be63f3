// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/io/safetensors.hpp>
#include <partita/parallel/whole_tensor.hpp>
#include <partita/training/evaluation.hpp>
#include <partita/training/weight_transfer.hpp>

namespace partita::training {
namespace {

constexpr index_t most_logits = index_t{1} << 26;

// Remembers the scores that it is shown: they lie in the stage's slot until the next pass.
template <class Scalar>
class ScoreKeeper final : public nn::LossHead<Scalar> {
 public:
  explicit ScoreKeeper(const nn::LossHead<Scalar>& head) : head_(head) {}

  void run(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label, double scale,
           Kokkos::View<const double, Memory> factor, Matrix<Scalar> dy,
           Kokkos::View<double, Memory> sum) const override {
    head_.run(context, y, label, scale, factor, dy, sum);
  }
  void evaluate(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label,
                Kokkos::View<double, Memory> sum, Kokkos::View<index_t, Memory> correct) const override {
    head_.evaluate(context, y, label, sum, correct);
    scores_ = y;
  }
  nn::OutputShape output() const override { return head_.output(); }
  ConstMatrix<Scalar> scores() const { return scores_; }

 private:
  const nn::LossHead<Scalar>& head_;
  mutable ConstMatrix<Scalar> scores_;
};

template <class To, class View>
std::vector<To> on_host(const View& view) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  std::vector<To> values;
  values.reserve(host.size());
  for (std::size_t i = 0; i < host.size(); ++i) values.push_back(static_cast<To>(host.data()[i]));
  return values;
}

// Which part of the vocabulary the scores are of: that of the weights that made them, or all.
template <class Scalar>
Slice vocabulary_of(const nn::Model<Scalar>& model, index_t columns) {
  const std::vector<nn::Parameter>& all = model.table().parameters();
  const bool own = std::any_of(all.begin(), all.end(), [](const auto& each) { return each.name == "head.weight"; });
  const Slice slice = model.table().at(own ? "head.weight" : "embedding.token").dimensions.front().slice;
  if (columns == slice.extent) return slice;
  if (columns != slice.global)
    refuse<ShapeError>("save_batch", fmt::format("{} scores of a token", columns),
                       fmt::format("{}, or {} of this rank", slice.global, slice.extent));
  return whole(slice.global);
}

}  // namespace

template <class Scalar>
void save_batch(const std::string& path, const Parts<Scalar>& parts, const WeightAxes& axes) {
  const SampleShape& shape = parts.data.shape();
  const index_t T = shape.tokens, V = shape.classes;
  const index_t B =
      std::min({evaluation_rows, parts.data.held_out_samples(), std::max(most_logits / V / T, index_t{1})});
  const Exec& exec = parts.context.exec();
  const ScoreKeeper<Scalar> head(parts.head);
  const nn::GradientPass<Scalar> pass(parts.model, nn::divide(B, 1, 0, 1, 0),
                                      nn::forward_only(1, parts.model.stage_count()), head, nullptr);
  const Rows<Scalar> rows = parts.data.template allocate<Scalar>(B);
  parts.data.template held_out<Scalar>(exec, 0, rows);
  const Vector<double> loss("partita::training::save_batch::loss", 1);
  const Vector<index_t> correct("partita::training::save_batch::correct", 1);
  nn::Observer nobody;
  const index_t step = parts.train.total_steps(parts.data.steps_per_epoch());
  nn::Call<Scalar> call = parts.model.call(parts.context, nobody, parts.exchange.weights(exec, step));
  call.training = false;
  pass.run(call, rows.batch(), parts.exchange, {loss, correct});
  exec.fence("partita::training::save_batch: the scores are there");
  parts.exchange.take_overlap();  // of no step

  const ConstMatrix<Scalar> scores = head.scores();
  const Slice vocabulary = vocabulary_of(parts.model, static_cast<index_t>(scores.extent(1)) / T);
  const std::vector<Slice> block = {whole(B), whole(T), vocabulary};
  const std::vector<float> logits = parallel::whole_tensor(axes.tensor, "logits", block, on_host<float>(scores));
  const std::vector<std::int64_t> labels = on_host<std::int64_t>(rows.label);
  const auto counted = B * T - std::count(labels.begin(), labels.end(), kernels::ignore_index);
  const auto mean = static_cast<float>(on_host<double>(loss)[0] / static_cast<double>(counted));
  axes.world.on_root([&] {
    io::SafeTensorsWriter writer(path, {.metadata = {{"format", "pt"}},
                                        .tensors = {{.name = "tokens", .type = "I64", .shape = {B, T}},
                                                    {.name = "labels", .type = "I64", .shape = {B, T}},
                                                    {.name = "logits", .type = "F32", .shape = {B, T, V}},
                                                    {.name = "loss", .type = "F32", .shape = {}}}});
    writer.write("tokens", on_host<std::int64_t>(rows.tokens));
    writer.write("labels", labels);
    writer.write("logits", logits);
    writer.write("loss", std::vector<float>{mean});
    writer.finish();
  });
}

template void save_batch(const std::string&, const Parts<float>&, const WeightAxes&);
template void save_batch(const std::string&, const Parts<bfloat16>&, const WeightAxes&);
template void save_batch(const std::string&, const Parts<float16>&, const WeightAxes&);

}  // namespace partita::training
