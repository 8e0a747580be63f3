// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/elementwise.hpp>
#include <string>

namespace partita::kernels {
namespace {

template <class Scalar>
struct Add {
  const Scalar* a;
  Scalar* b;
  KOKKOS_FUNCTION Add prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { b[i] += a[i]; }
};

template <class Scalar>
struct Fill {
  Scalar value;
  Scalar* a;
  KOKKOS_FUNCTION Fill prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { a[i] = value; }
};

template <class Scalar>
struct Scale {
  Scalar factor;
  Scalar* a;
  KOKKOS_FUNCTION Scale prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { a[i] *= factor; }
};

template <class Scalar>
struct Copy {
  const Scalar* a;
  Scalar* b;
  KOKKOS_FUNCTION Copy prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { b[i] = a[i]; }
};

template <class Scalar>
struct Triad {
  const Scalar* a;
  Scalar factor;
  const Scalar* b;
  Scalar* c;
  KOKKOS_FUNCTION Triad prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { c[i] = a[i] + factor * b[i]; }
};

void require_same(const char* function, std::size_t a, std::size_t b) {
  if (a != b)
    throw ShapeError(std::string(function) + ": a has " + std::to_string(a) + " elements, b has " + std::to_string(b) +
                     ": expected a (n) and b (n) with the same n");
}

}  // namespace

template <class Scalar>
void add(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b) {
  static const std::string label = "partita::kernels::add";
  require_same("add", a.extent(0), b.extent(0));
  backend::for_range(exec, label, index_t(b.extent(0)), Add<Scalar>{a.data(), b.data()});
}

template <class Scalar>
void fill(const Exec& exec, std::type_identity_t<Scalar> value, Vector<Scalar> a) {
  static const std::string label = "partita::kernels::fill";
  backend::for_range(exec, label, index_t(a.extent(0)), Fill<Scalar>{value, a.data()});
}

template <class Scalar>
void scale(const Exec& exec, std::type_identity_t<Scalar> factor, Vector<Scalar> a) {
  static const std::string label = "partita::kernels::scale";
  backend::for_range(exec, label, index_t(a.extent(0)), Scale<Scalar>{factor, a.data()});
}

template <class Scalar>
void copy(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b) {
  static const std::string label = "partita::kernels::copy";
  require_same("copy", a.extent(0), b.extent(0));
  backend::for_range(exec, label, index_t(b.extent(0)), Copy<Scalar>{a.data(), b.data()});
}

template <class Scalar>
void triad(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, std::type_identity_t<Scalar> factor,
           std::type_identity_t<ConstVector<Scalar>> b, Vector<Scalar> c) {
  static const std::string label = "partita::kernels::triad";
  require_same("triad", a.extent(0), b.extent(0));
  require_same("triad", a.extent(0), c.extent(0));
  backend::for_range(exec, label, index_t(c.extent(0)), Triad<Scalar>{a.data(), factor, b.data(), c.data()});
}

template void add<float>(const Exec&, ConstVector<float>, Vector<float>);
template void add<double>(const Exec&, ConstVector<double>, Vector<double>);
template void fill<float>(const Exec&, float, Vector<float>);
template void fill<double>(const Exec&, double, Vector<double>);
template void scale<float>(const Exec&, float, Vector<float>);
template void scale<double>(const Exec&, double, Vector<double>);
template void copy<float>(const Exec&, ConstVector<float>, Vector<float>);
template void copy<double>(const Exec&, ConstVector<double>, Vector<double>);
template void triad<float>(const Exec&, ConstVector<float>, float, ConstVector<float>, Vector<float>);
template void triad<double>(const Exec&, ConstVector<double>, double, ConstVector<double>, Vector<double>);

}  // namespace partita::kernels
