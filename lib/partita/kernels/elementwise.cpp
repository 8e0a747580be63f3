// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/elementwise.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {
namespace {

template <class Scalar>
struct AddTo {
  const Scalar* a;
  Scalar* b;
  KOKKOS_FUNCTION AddTo prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    using Number = accumulate_t<Scalar>;
    b[i] = Scalar(Number(b[i]) + Number(a[i]));
  }
};

/// c = a + b, cut off below zero where `relu`.
template <class Scalar, bool relu>
struct AddInto {
  const Scalar *a, *b;
  Scalar* c;
  KOKKOS_FUNCTION AddInto prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    using Number = accumulate_t<Scalar>;
    const Number sum = Number(a[i]) + Number(b[i]);
    c[i] = Scalar(relu && sum < Number(0) ? Number(0) : sum);
  }
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
  accumulate_t<Scalar> factor;
  Scalar* a;
  KOKKOS_FUNCTION Scale prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { a[i] = Scalar(accumulate_t<Scalar>(a[i]) * factor); }
};

template <class Scalar, bool adds>
struct ScaleInto {
  double factor;
  const Scalar* x;
  Scalar* y;
  KOKKOS_FUNCTION ScaleInto prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    const double scaled = factor * double(x[i]);
    y[i] = Scalar(adds ? double(y[i]) + scaled : scaled);
  }
};

template <class Scalar>
struct Copy {
  const Scalar* a;
  Scalar* b;
  KOKKOS_FUNCTION Copy prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { b[i] = a[i]; }
};

/// A task is a part of a row.
template <class Scalar>
struct CopyRows {
  static constexpr index_t share = backend::runs_on_host ? 4096 : 1;
  index_t columns, per_row;
  const Scalar* a;
  index_t a_leading;
  Scalar* b;
  index_t b_leading;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t row = task / per_row, first = task % per_row * share;
    const index_t end = first + share < columns ? first + share : columns;
    const Scalar* const from = a + row * a_leading;
    Scalar* const to = b + row * b_leading;
#pragma GCC ivdep
    for (index_t c = first; c < end; ++c) to[c] = from[c];
  }
};

template <class Scalar>
struct Scatter {
  const index_t* at;
  const Scalar* a;
  Scalar* b;
  KOKKOS_FUNCTION Scatter prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    if (at[i] >= 0) b[at[i]] = a[i];
  }
};

template <class Scalar>
struct Triad {
  const Scalar* a;
  accumulate_t<Scalar> factor;
  const Scalar* b;
  Scalar* c;
  KOKKOS_FUNCTION Triad prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const {
    using Number = accumulate_t<Scalar>;
    c[i] = Scalar(Number(a[i]) + factor * Number(b[i]));
  }
};

}  // namespace

template <class Scalar>
void add(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b) {
  static const std::string label = "partita::kernels::add";
  backend::require_length("add", "a", a.extent(0), "b", b.extent(0));
  backend::for_range(exec, label, index_t(b.extent(0)), AddTo<Scalar>{a.data(), b.data()});
}

template <class Scalar>
void add(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, std::type_identity_t<ConstVector<Scalar>> b,
         Vector<Scalar> c) {
  static const std::string label = "partita::kernels::add";
  backend::require_length("add", "a", a.extent(0), "b", b.extent(0));
  backend::require_length("add", "a", a.extent(0), "c", c.extent(0));
  backend::for_range(exec, label, index_t(c.extent(0)), AddInto<Scalar, false>{a.data(), b.data(), c.data()});
}

template <class Scalar>
void add_relu(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a,
              std::type_identity_t<ConstVector<Scalar>> b, Vector<Scalar> c) {
  static const std::string label = "partita::kernels::add_relu";
  backend::require_length("add_relu", "a", a.extent(0), "b", b.extent(0));
  backend::require_length("add_relu", "a", a.extent(0), "c", c.extent(0));
  backend::for_range(exec, label, index_t(c.extent(0)), AddInto<Scalar, true>{a.data(), b.data(), c.data()});
}

template <class Scalar>
void fill(const Exec& exec, std::type_identity_t<Scalar> value, Vector<Scalar> a) {
  static const std::string label = "partita::kernels::fill";
  backend::for_range(exec, label, index_t(a.extent(0)), Fill<Scalar>{value, a.data()});
}

template <class Scalar>
void scale(const Exec& exec, accumulate_t<Scalar> factor, Vector<Scalar> a) {
  static const std::string label = "partita::kernels::scale";
  backend::for_range(exec, label, index_t(a.extent(0)), Scale<Scalar>{factor, a.data()});
}

template <class Scalar>
void scale(const Exec& exec, Store store, double factor, std::type_identity_t<ConstVector<Scalar>> x,
           Vector<Scalar> y) {
  static const std::string label = "partita::kernels::scale";
  backend::require_length("scale", "x", x.extent(0), "y", y.extent(0));
  const index_t n = index_t(y.extent(0));
  if (store == Store::accumulate)
    backend::for_range(exec, label, n, ScaleInto<Scalar, true>{factor, x.data(), y.data()});
  else
    backend::for_range(exec, label, n, ScaleInto<Scalar, false>{factor, x.data(), y.data()});
}

template <class Scalar>
void copy(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b) {
  static const std::string label = "partita::kernels::copy";
  backend::require_length("copy", "a", a.extent(0), "b", b.extent(0));
  backend::for_range(exec, label, index_t(b.extent(0)), Copy<Scalar>{a.data(), b.data()});
}

template <class Scalar>
void copy(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> a, Matrix<Scalar> b) {
  static const std::string label = "partita::kernels::copy_rows";
  backend::require_extent("copy", "b", "rows", b.extent(0), "a", "rows", a.extent(0), "the same");
  backend::require_extent("copy", "b", "columns", b.extent(1), "a", "columns", a.extent(1), "the same");
  const index_t rows = index_t(b.extent(0)), columns = index_t(b.extent(1));
  const index_t per_row = (columns + CopyRows<Scalar>::share - 1) / CopyRows<Scalar>::share;
  Kokkos::parallel_for(
      label, backend::range_policy(exec, rows * per_row),
      CopyRows<Scalar>{columns, per_row, a.data(), index_t(a.stride(0)), b.data(), index_t(b.stride(0))});
}

template <class Scalar>
void scatter(const Exec& exec, ConstVector<index_t> at, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b) {
  static const std::string label = "partita::kernels::scatter";
  backend::require_length("scatter", "at", at.extent(0), "a", a.extent(0));
  backend::for_range(exec, label, index_t(a.extent(0)), Scatter<Scalar>{at.data(), a.data(), b.data()});
}

template <class Scalar>
void triad(const Exec& exec, accumulate_t<Scalar> factor, std::type_identity_t<ConstVector<Scalar>> a,
           std::type_identity_t<ConstVector<Scalar>> b, Vector<Scalar> c) {
  static const std::string label = "partita::kernels::triad";
  backend::require_length("triad", "a", a.extent(0), "b", b.extent(0));
  backend::require_length("triad", "a", a.extent(0), "c", c.extent(0));
  backend::for_range(exec, label, index_t(c.extent(0)), Triad<Scalar>{a.data(), factor, b.data(), c.data()});
}

#define PARTITA_INSTANTIATE(Scalar)                                                                        \
  template void add<Scalar>(const Exec&, ConstVector<Scalar>, Vector<Scalar>);                             \
  template void add<Scalar>(const Exec&, ConstVector<Scalar>, ConstVector<Scalar>, Vector<Scalar>);        \
  template void add_relu<Scalar>(const Exec&, ConstVector<Scalar>, ConstVector<Scalar>, Vector<Scalar>);   \
  template void fill<Scalar>(const Exec&, Scalar, Vector<Scalar>);                                         \
  template void scale<Scalar>(const Exec&, accumulate_t<Scalar>, Vector<Scalar>);                          \
  template void copy<Scalar>(const Exec&, ConstVector<Scalar>, Vector<Scalar>);                            \
  template void copy<Scalar>(const Exec&, ConstMatrix<Scalar>, Matrix<Scalar>);                            \
  template void triad<Scalar>(const Exec&, accumulate_t<Scalar>, ConstVector<Scalar>, ConstVector<Scalar>, \
                              Vector<Scalar>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE
template void copy<std::int32_t>(const Exec&, ConstMatrix<std::int32_t>, Matrix<std::int32_t>);
template void scatter<double>(const Exec&, ConstVector<index_t>, ConstVector<double>, Vector<double>);
template void scale<float>(const Exec&, Store, double, ConstVector<float>, Vector<float>);
template void scale<double>(const Exec&, Store, double, ConstVector<double>, Vector<double>);

}  // namespace partita::kernels
