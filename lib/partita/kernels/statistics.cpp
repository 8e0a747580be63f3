// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/statistics.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {
namespace {

template <class Real>
struct MoveStatistics {
  const OptimizerState* state;
  double keep, momentum;
  const Real* sum;
  Real* running;
  bool skipped;

  KOKKOS_FUNCTION MoveStatistics prepare() const {
    MoveStatistics step = *this;
    step.skipped = state->skip != 0;
    return step;
  }
  KOKKOS_FUNCTION bool idle() const { return skipped; }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    running[i] = Real(keep * double(running[i]) + momentum * double(sum[i]));
  }
};

}  // namespace

template <class Real>
void statistics_update(const Exec& exec, double momentum, Kokkos::View<const OptimizerState, Memory> state,
                       std::type_identity_t<ConstVector<Real>> sum, Vector<Real> running) {
  static const std::string label = "partita::kernels::statistics_update";
  backend::require_length("statistics_update", "sum", sum.extent(0), "running", running.extent(0));
  backend::for_range(exec, label, index_t(running.extent(0)),
                     MoveStatistics<Real>{state.data(), 1 - momentum, momentum, sum.data(), running.data(), false});
}

template void statistics_update<float>(const Exec&, double, Kokkos::View<const OptimizerState, Memory>,
                                       ConstVector<float>, Vector<float>);
template void statistics_update<double>(const Exec&, double, Kokkos::View<const OptimizerState, Memory>,
                                        ConstVector<double>, Vector<double>);

}  // namespace partita::kernels
