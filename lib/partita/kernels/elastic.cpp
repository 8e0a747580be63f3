// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/elastic.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {
namespace {

template <class Real>
struct ElasticStep {
  Real rate, alpha;
  const Real *g, *c;
  Real *x, *e;
  KOKKOS_FUNCTION ElasticStep prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const Real pull = alpha * (x[i] - c[i]);
    e[i] = pull;
    x[i] = x[i] - rate * g[i] - pull;
  }
};

}  // namespace

template <class Real>
void elastic_step(const Exec& exec, double rate, double alpha, std::type_identity_t<ConstVector<Real>> g,
                  std::type_identity_t<ConstVector<Real>> c, Vector<Real> x, std::type_identity_t<Vector<Real>> e) {
  static const std::string label = "partita::kernels::elastic_step";
  backend::require_length("elastic_step", "g", g.extent(0), "x", x.extent(0));
  backend::require_length("elastic_step", "c", c.extent(0), "x", x.extent(0));
  backend::require_length("elastic_step", "e", e.extent(0), "x", x.extent(0));
  backend::for_range(
      exec, label, index_t(x.extent(0)),
      ElasticStep<Real>{static_cast<Real>(rate), static_cast<Real>(alpha), g.data(), c.data(), x.data(), e.data()});
}

template void elastic_step<float>(const Exec&, double, double, ConstVector<float>, ConstVector<float>, Vector<float>,
                                  Vector<float>);
template void elastic_step<double>(const Exec&, double, double, ConstVector<double>, ConstVector<double>,
                                   Vector<double>, Vector<double>);

}  // namespace partita::kernels
