// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/optimizer.hpp>
#include <string>

// Rules. prepare() turns the state into the numbers of this step, in double, once a block; operator() is the loop's
// body. It has no branch, so that it vectorises: weight_decay = 0 adds zero.

namespace partita::kernels {
namespace {

template <class Scalar>
struct Sgd {
  const OptimizerState* state;
  Scalar weight_decay;
  const Scalar* g;
  Scalar* p;
  Scalar rate;

  KOKKOS_FUNCTION Sgd prepare() const {
    Sgd step = *this;
    step.rate = Scalar(state->learning_rate);
    return step;
  }
  KOKKOS_FUNCTION void operator()(index_t i) const { p[i] -= rate * (g[i] + weight_decay * p[i]); }
};

template <class Scalar>
struct Momentum {
  const OptimizerState* state;
  Scalar weight_decay, momentum;
  const Scalar* g;
  Scalar *p, *m;
  Scalar rate;

  KOKKOS_FUNCTION Momentum prepare() const {
    Momentum step = *this;
    step.rate = Scalar(state->learning_rate);
    return step;
  }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const Scalar moving = momentum * m[i] + (g[i] + weight_decay * p[i]);
    m[i] = moving;
    p[i] -= rate * moving;
  }
};

template <class Scalar>
struct Adagrad {
  const OptimizerState* state;
  Scalar weight_decay, epsilon;
  const Scalar* g;
  Scalar *p, *v;
  Scalar rate;

  KOKKOS_FUNCTION Adagrad prepare() const {
    Adagrad step = *this;
    step.rate = Scalar(state->learning_rate);
    return step;
  }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const Scalar gradient = g[i] + weight_decay * p[i];
    const Scalar sum = v[i] + gradient * gradient;
    v[i] = sum;
    p[i] -= rate * (gradient / (Kokkos::sqrt(sum) + epsilon));
  }
};

template <class Scalar>
struct Adam {
  const OptimizerState* state;
  Scalar weight_decay, beta1, rest1, beta2, rest2, epsilon;  // rest = 1 - beta, rounded once
  const Scalar* g;
  Scalar *p, *m, *v;
  Scalar rate, root;

  KOKKOS_FUNCTION Adam prepare() const {
    Adam step = *this;
    step.rate = Scalar(state->learning_rate / state->first_correction);
    step.root = Scalar(Kokkos::sqrt(state->second_correction));
    return step;
  }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const Scalar gradient = g[i] + weight_decay * p[i];
    const Scalar first = beta1 * m[i] + rest1 * gradient;
    const Scalar second = beta2 * v[i] + rest2 * (gradient * gradient);
    m[i] = first;
    v[i] = second;
    p[i] -= rate * (first / (Kokkos::sqrt(second) / root + epsilon));
  }
};

void require(const char* operand, std::size_t has, std::size_t n) {
  if (has != n)
    throw ShapeError(std::string("optimizer_update: ") + operand + " has " + std::to_string(has) + " elements, p has " +
                     std::to_string(n) + ": expected " + operand + " (n) and p (n) with the same n");
}

}  // namespace

std::string_view name(Optimizer kind) {
  constexpr std::string_view names[] = {"sgd", "adagrad", "adam"};
  return names[static_cast<int>(kind)];
}

bool optimizer_needs_m(const OptimizerOptions& options) {
  return options.kind == Optimizer::adam || (options.kind == Optimizer::sgd && options.momentum != 0);
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
        at->step += 1;
        at->first_correction = 1 - Kokkos::pow(beta1, double(at->step));
        at->second_correction = 1 - Kokkos::pow(beta2, double(at->step));
      });
}

template <class Scalar>
void optimizer_update(const Exec& exec, const OptimizerOptions& options, OptimizerStateView state,
                      std::type_identity_t<ConstVector<Scalar>> g, Vector<Scalar> p,
                      std::type_identity_t<Vector<Scalar>> m, std::type_identity_t<Vector<Scalar>> v) {
  static const std::string sgd_label = "partita::kernels::optimizer_update::sgd";
  static const std::string adagrad_label = "partita::kernels::optimizer_update::adagrad";
  static const std::string adam_label = "partita::kernels::optimizer_update::adam";
  const std::size_t n = p.extent(0);
  require("g", g.extent(0), n);
  if (optimizer_needs_m(options)) require("m", m.extent(0), n);
  if (optimizer_needs_v(options)) require("v", v.extent(0), n);
  const auto run = [&](const std::string& label, auto rule) { backend::for_range(exec, label, index_t(n), rule); };
  const auto decay = Scalar(options.weight_decay), epsilon = Scalar(options.epsilon);
  switch (options.kind) {
    case Optimizer::sgd:
      if (options.momentum == 0) return run(sgd_label, Sgd<Scalar>{state.data(), decay, g.data(), p.data(), 0});
      return run(sgd_label,
                 Momentum<Scalar>{state.data(), decay, Scalar(options.momentum), g.data(), p.data(), m.data(), 0});
    case Optimizer::adagrad:
      return run(adagrad_label, Adagrad<Scalar>{state.data(), decay, epsilon, g.data(), p.data(), v.data(), 0});
    case Optimizer::adam:
      return run(adam_label, Adam<Scalar>{state.data(), decay, Scalar(options.beta1), Scalar(1 - options.beta1),
                                          Scalar(options.beta2), Scalar(1 - options.beta2), epsilon, g.data(), p.data(),
                                          m.data(), v.data(), 0, 0});
  }
}

template void optimizer_update<float>(const Exec&, const OptimizerOptions&, OptimizerStateView, ConstVector<float>,
                                      Vector<float>, Vector<float>, Vector<float>);
template void optimizer_update<double>(const Exec&, const OptimizerOptions&, OptimizerStateView, ConstVector<double>,
                                       Vector<double>, Vector<double>, Vector<double>);

}  // namespace partita::kernels
