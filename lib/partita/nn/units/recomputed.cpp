// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/recomputed.hpp>

#include <utility>

#include <partita/core/error.hpp>

namespace partita::nn {

template <class Scalar>
Recomputed<Scalar>::Recomputed(std::string name, Units<Scalar> units)
    : Unit<Scalar>(std::move(name), units.front()->inputs(), units.back()->outputs()), chain_(std::move(units)) {
  this->set_tag(chain_.units().front()->tag());  // it takes no time of its own
}

template <class Scalar>
PassFlop Recomputed<Scalar>::flop(index_t B, bool input_gradient) const {
  PassFlop sum = chain_.flop(B, input_gradient);
  sum.again += chain_.restoring(B).flop;
  return sum;
}

template <class Scalar>
typename Recomputed<Scalar>::Layout Recomputed<Scalar>::layout(index_t B) const {
  const Footprint chain = chain_.footprint(B);
  const index_t y = chain_.restoring(B).writes_y ? B * this->outputs() : 0;
  Layout all{};
  Cutter workspace;
  workspace.skip(chain.saved);
  all.y = workspace.skip(static_cast<std::size_t>(y) * sizeof(Scalar));
  all.chain_workspace = workspace.skip(chain.workspace);
  all.bytes = workspace.used();
  return all;
}

template <class Scalar>
Footprint Recomputed<Scalar>::footprint(index_t B) const {
  return {.workspace = layout(B).bytes};
}

template <class Scalar>
void Recomputed<Scalar>::plan(index_t B) {
  chain_.plan(B);
  layout_ = layout(B);
}

template <class Scalar>
void Recomputed<Scalar>::visit(const std::function<void(Unit<Scalar>&)>& f) {
  chain_.visit(f);
  f(*this);
}

template <class Scalar>
Call<Scalar> Recomputed<Scalar>::of_chain(const Call<Scalar>& call) const {
  Call<Scalar> inner = call;
  inner.saved = call.workspace;
  inner.workspace = call.workspace + layout_.chain_workspace;
  return inner;
}

template <class Scalar>
void Recomputed<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  chain_.forward(of_chain(call), x, y);
}

template <class Scalar>
void Recomputed<Scalar>::backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                                  Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (half != Half::both)
    refuse<UsageError>(this->name(), "one half of backward alone", "both together, or no recomputation");
  Call<Scalar> again = of_chain(call);
  again.replay = true;
  chain_.restore(
      again, x,
      {reinterpret_cast<Scalar*>(call.workspace + layout_.y), dy.extent(0), static_cast<std::size_t>(this->outputs())});
  chain_.backward(half, of_chain(call), x, y, dy, dx);
}

template class Recomputed<float>;
template class Recomputed<double>;
template class Recomputed<bfloat16>;
template class Recomputed<float16>;

}  // namespace partita::nn
