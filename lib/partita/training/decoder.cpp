// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/decoder.hpp>

#include <utility>

#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::training {

template <class Scalar>
Decoder<Scalar>::Decoder(const Parts<Scalar>& parts, Slice rows)
    : train_(parts.train),
      options_(parts.model_options),
      sample_(parts.data.shape()),
      table_(parts.model.table()),
      trained_axis_(parts.axis),
      cache_(rows, sample_.tokens) {
  if (trained_axis_ == nullptr) return;
  parallel::TensorOptions options = trained_axis_->options();
  options.sequence = options.regather = false;
  options.overlap_chunks = 1;
  axis_.emplace(trained_axis_->ranks(), options, sample_.tokens, 1);
}

template <class Scalar>
typename Decoder<Scalar>::Model& Decoder<Scalar>::with(index_t tokens) {
  if (const auto found = models_.find(tokens); found != models_.end()) return found->second;
  const nn::ModelOptions how = train_.model().without_weights();
  parallel::TensorAxis<Scalar>* const axis = axis_ ? &*axis_ : nullptr;
  const auto plan = plan_cached_model<Scalar>(options_, sample_, how, axis, cache_, tokens);
  Model made{plan.make(how), plan.classes, nullptr};
  made.head = make_head<Scalar>(train_.loss, made.model, plan, axis);
  return models_.emplace(tokens, std::move(made)).first->second;
}

template <class Scalar>
const nn::Window<const Scalar>& Decoder<Scalar>::weights(const Exec& exec, const nn::Window<const Scalar>& trained) {
  if (trained_axis_ == nullptr || !trained_axis_->options().sequence || trained_axis_->ranks().size() == 1)
    return trained;
  if (copied_.extent(0) == 0) copy_weights(exec, trained);
  return weights_;
}

template <class Scalar>
index_t Decoder<Scalar>::bytes() const {
  index_t sum = cache_.bytes() + nn::bytes_of(copied_);
  for (const auto& [tokens, made] : models_)
    for (const nn::Stage<Scalar>& stage : made.model.stages()) sum += static_cast<index_t>(stage.allocated());
  return sum;
}

// A tensor that is shorter here is one of tokens, rank after rank.
template <class Scalar>
void Decoder<Scalar>::copy_weights(const Exec& exec, const nn::Window<const Scalar>& trained) {
  const nn::ParameterTable& all = with(1).model.table();
  copied_ = Vector<Scalar>("partita::training::Decoder::weights", static_cast<std::size_t>(all.size()));
  weights_ = nn::Window<const Scalar>(copied_);
  for (const nn::Parameter& to : all.parameters()) {
    const Range from = table_.at(to.name).range;
    const Vector<const Scalar> local = trained.vector(from);
    const Vector<Scalar> here(copied_.data() + to.range.offset, static_cast<std::size_t>(to.range.extent));
    if (from.extent == to.range.extent) {
      kernels::copy<Scalar>(exec, local, here);
      continue;
    }
    trained_axis_->gather_tokens(exec, to.range.extent / sample_.tokens, {local.data(), 1, local.size()},
                                 {here.data(), 1, here.size()}, {});
  }
}

template class Decoder<float>;
template class Decoder<bfloat16>;
template class Decoder<float16>;

}  // namespace partita::training
