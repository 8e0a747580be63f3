// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/optimizer.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/norm.hpp>

// Rules. prepare() turns the state into the numbers of this step, in double, once a block; operator() is the loop's
// body. It has no branch, so that it vectorises: weight_decay = 0 adds zero, a factor of 1 changes nothing.

namespace partita::kernels {
namespace {

/// What all rules share: the range, and gradients as the rule sees them.
template <class Number, class Storage>
struct UpdateRange {
  const OptimizerState* state;
  Number weight_decay;
  const Number* g;
  Number* p;
  Storage* copy;  // of p; unused where Storage is Number
  Number rate, factor;
  bool skipped;

  template <class Rule>
  KOKKOS_FUNCTION static Rule prepared(Rule rule) {
    const OptimizerState& now = *rule.state;
    rule.rate = Number(now.learning_rate);
    rule.factor = Number(now.unscale * now.clip);
    rule.skipped = now.skip != 0;
    return rule;
  }
  KOKKOS_FUNCTION bool idle() const { return skipped; }
  KOKKOS_FUNCTION Number gradient(index_t i) const { return g[i] * factor + weight_decay * p[i]; }
  KOKKOS_FUNCTION void put(index_t i, Number value) const {
    p[i] = value;
    if constexpr (!std::is_same_v<Number, Storage>) copy[i] = Storage(value);
  }
};

template <class Number, class Storage>
struct Sgd : UpdateRange<Number, Storage> {
  KOKKOS_FUNCTION Sgd prepare() const { return this->prepared(*this); }
  KOKKOS_FUNCTION void operator()(index_t i) const { this->put(i, this->p[i] - this->rate * this->gradient(i)); }
};

template <class Number, class Storage>
struct Momentum : UpdateRange<Number, Storage> {
  Number momentum;
  Number* m;

  KOKKOS_FUNCTION Momentum prepare() const { return this->prepared(*this); }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const Number moving = momentum * m[i] + this->gradient(i);
    m[i] = moving;
    this->put(i, this->p[i] - this->rate * moving);
  }
};

template <class Number, class Storage>
struct Adagrad : UpdateRange<Number, Storage> {
  Number epsilon;
  Number* v;

  KOKKOS_FUNCTION Adagrad prepare() const { return this->prepared(*this); }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const Number gradient = this->gradient(i);
    const Number sum = v[i] + gradient * gradient;
    v[i] = sum;
    this->put(i, this->p[i] - this->rate * (gradient / (Kokkos::sqrt(sum) + epsilon)));
  }
};

/// adam, and adamw where weight_decay is 0 and decoupled_decay is not.
template <class Number, class Storage>
struct Adam : UpdateRange<Number, Storage> {
  double decoupled_decay;
  Number beta1, rest1, beta2, rest2, epsilon;  // rest = 1 - beta, rounded once
  Number *m, *v;
  Number per_root, keep;

  KOKKOS_FUNCTION Adam prepare() const {
    Adam step = this->prepared(*this);
    const OptimizerState& now = *this->state;
    step.rate = Number(now.learning_rate / now.first_correction);
    step.per_root = Number(1 / Kokkos::sqrt(now.second_correction));
    step.keep = Number(1 - now.learning_rate * decoupled_decay);
    return step;
  }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const Number gradient = this->gradient(i);
    const Number first = beta1 * m[i] + rest1 * gradient;
    const Number second = beta2 * v[i] + rest2 * (gradient * gradient);
    m[i] = first;
    v[i] = second;
    this->put(i, keep * this->p[i] - this->rate * (first / (Kokkos::sqrt(second) * per_root + epsilon)));
  }
};

void require_like_p(const char* operand, std::size_t has, std::size_t n) {
  backend::require_length("optimizer_update", operand, has, "p", n);
}

template <class Number, class Storage>
void update(const Exec& exec, const OptimizerOptions& options, const OptimizerStateView& state,
            const ConstVector<Number>& g, const Vector<Number>& p, const Vector<Number>& m, const Vector<Number>& v,
            const Vector<Storage>& copy) {
  static const std::string sgd_label = "partita::kernels::optimizer_update::sgd";
  static const std::string adagrad_label = "partita::kernels::optimizer_update::adagrad";
  static const std::string adam_label = "partita::kernels::optimizer_update::adam";
  static const std::string adamw_label = "partita::kernels::optimizer_update::adamw";
  const std::size_t n = p.extent(0);
  require_like_p("g", g.extent(0), n);
  if (optimizer_needs_m(options)) require_like_p("m", m.extent(0), n);
  if (optimizer_needs_v(options)) require_like_p("v", v.extent(0), n);
  const auto run = [&](const std::string& label, auto rule) { backend::for_range(exec, label, index_t(n), rule); };
  const bool decoupled = options.kind == Optimizer::adamw;
  const UpdateRange<Number, Storage> range{
      state.data(), Number(decoupled ? 0 : options.weight_decay), g.data(), p.data(), copy.data(), 0, 0, false};
  const auto epsilon = Number(options.epsilon);
  switch (options.kind) {
    case Optimizer::sgd:
      if (options.momentum == 0) return run(sgd_label, Sgd<Number, Storage>{range});
      return run(sgd_label, Momentum<Number, Storage>{range, Number(options.momentum), m.data()});
    case Optimizer::adagrad:
      return run(adagrad_label, Adagrad<Number, Storage>{range, epsilon, v.data()});
    case Optimizer::adam:
    case Optimizer::adamw:
      return run(decoupled ? adamw_label : adam_label,
                 Adam<Number, Storage>{range, decoupled ? options.weight_decay : 0.0, Number(options.beta1),
                                       Number(1 - options.beta1), Number(options.beta2), Number(1 - options.beta2),
                                       epsilon, m.data(), v.data(), 0, 0});
  }
}

template <class Real>
struct Unscale {
  const OptimizerState* state;
  double factor;
  Real* g;
  Real by = 1;

  KOKKOS_FUNCTION Unscale prepare() const {
    Unscale now = *this;
    now.by = Real(factor * state->unscale);
    return now;
  }
  KOKKOS_FUNCTION void operator()(index_t i) const { g[i] *= by; }
};

}  // namespace

std::string_view name(Optimizer kind) {
  constexpr std::string_view names[] = {"sgd", "adagrad", "adam", "adamw"};
  return names[static_cast<int>(kind)];
}

bool optimizer_needs_m(const OptimizerOptions& options) {
  return options.kind == Optimizer::adam || options.kind == Optimizer::adamw ||
         (options.kind == Optimizer::sgd && options.momentum != 0);
}
bool optimizer_needs_v(const OptimizerOptions& options) { return options.kind != Optimizer::sgd; }
index_t optimizer_buffers(const OptimizerOptions& options) {
  return index_t(optimizer_needs_m(options)) + index_t(optimizer_needs_v(options));
}

void optimizer_set_learning_rate(const Exec& exec, double rate, OptimizerStateView state) {
  static const std::string label = "partita::kernels::optimizer_set_learning_rate";
  OptimizerState* const at = state.data();
  Kokkos::parallel_for(
      label, backend::range_policy(exec, 1), KOKKOS_LAMBDA(index_t) { at->learning_rate = rate; });
}

void optimizer_advance(const Exec& exec, const OptimizerOptions& options, OptimizerStateView state) {
  static const std::string label = "partita::kernels::optimizer_advance";
  OptimizerState* const at = state.data();
  const double beta1 = options.beta1, beta2 = options.beta2;
  Kokkos::parallel_for(
      label, backend::range_policy(exec, 1), KOKKOS_LAMBDA(index_t) {
        if (at->skip != 0) return;
        at->step += 1;
        at->first_correction = 1 - Kokkos::pow(beta1, double(at->step));
        at->second_correction = 1 - Kokkos::pow(beta2, double(at->step));
      });
}

void optimizer_clip(const Exec& exec, double max_norm, Kokkos::View<const double, Memory> sum,
                    OptimizerStateView state) {
  static const std::string label = "partita::kernels::optimizer_clip";
  OptimizerState* const at = state.data();
  const double* const squares = sum.data();
  Kokkos::parallel_for(
      label, backend::range_policy(exec, 1), KOKKOS_LAMBDA(index_t) {
        if (at->skip == 0) at->clip = clip_factor(max_norm, at->unscale * Kokkos::sqrt(*squares));
      });
}

void gradient_norm(const Exec& exec, Kokkos::View<const double, Memory> sum,
                   Kokkos::View<const OptimizerState, Memory> state, Kokkos::View<double, Memory> norm) {
  static const std::string label = "partita::kernels::gradient_norm";
  const OptimizerState* const at = state.data();
  const double* const squares = sum.data();
  double* const to = norm.data();
  Kokkos::parallel_for(
      label, backend::range_policy(exec, 1),
      KOKKOS_LAMBDA(index_t) { *to = (at == nullptr ? 1 : at->unscale) * Kokkos::sqrt(*squares); });
}

template <class Real>
void unscale_gradient(const Exec& exec, double factor, Kokkos::View<const OptimizerState, Memory> state,
                      Vector<Real> g) {
  static const std::string label = "partita::kernels::unscale_gradient";
  backend::for_range(exec, label, index_t(g.extent(0)), Unscale<Real>{state.data(), factor, g.data()});
}

template <class Scalar>
void optimizer_update(const Exec& exec, const OptimizerOptions& options, OptimizerStateView state,
                      std::type_identity_t<ConstVector<Scalar>> g, Vector<Scalar> p,
                      std::type_identity_t<Vector<Scalar>> m, std::type_identity_t<Vector<Scalar>> v) {
  update<Scalar, Scalar>(exec, options, state, g, p, m, v, {});
}

template <class Storage>
void optimizer_update(const Exec& exec, const OptimizerOptions& options, OptimizerStateView state, ConstVector<float> g,
                      Vector<float> p, Vector<float> m, Vector<float> v, Vector<Storage> copy) {
  require_like_p("copy", copy.extent(0), p.extent(0));
  update<float, Storage>(exec, options, state, g, p, m, v, copy);
}

template void unscale_gradient(const Exec&, double, Kokkos::View<const OptimizerState, Memory>, Vector<float>);
template void unscale_gradient(const Exec&, double, Kokkos::View<const OptimizerState, Memory>, Vector<double>);
template void optimizer_update<float>(const Exec&, const OptimizerOptions&, OptimizerStateView, ConstVector<float>,
                                      Vector<float>, Vector<float>, Vector<float>);
template void optimizer_update<double>(const Exec&, const OptimizerOptions&, OptimizerStateView, ConstVector<double>,
                                       Vector<double>, Vector<double>, Vector<double>);
template void optimizer_update<bfloat16>(const Exec&, const OptimizerOptions&, OptimizerStateView, ConstVector<float>,
                                         Vector<float>, Vector<float>, Vector<float>, Vector<bfloat16>);
template void optimizer_update<float16>(const Exec&, const OptimizerOptions&, OptimizerStateView, ConstVector<float>,
                                        Vector<float>, Vector<float>, Vector<float>, Vector<float16>);

}  // namespace partita::kernels
