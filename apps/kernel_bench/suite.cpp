// SPDX-License-Identifier: BSD-3-Clause
#include "suite.hpp"

#include <partita/core/float16.hpp>
#include <partita/core/random.hpp>

namespace partita::kernel_bench {
namespace {

template <class View, class Value>
View filled(View view, Value value) {
  const auto host = Kokkos::create_mirror_view(view);
  for (std::size_t i = 0; i < host.size(); ++i) host.data()[i] = value(i);
  Kokkos::deep_copy(view, host);
  return view;
}

template <class Scalar>
Scalar number(std::size_t i) {
  return Scalar(static_cast<float>(uniform(1, Stream::test, i)) - 0.5F);
}

}  // namespace

Suite::Suite() {
  add_dense(*this);
  add_elementwise(*this);
  add_sequence(*this);
  add_image(*this);
  add_models(*this);
}

template <class Scalar>
Vector<Scalar> vector(index_t n) {
  return filled(Vector<Scalar>("partita::kernel_bench::vector", n), number<Scalar>);
}

template <class Scalar>
Matrix<Scalar> matrix(index_t rows, index_t columns) {
  return filled(Matrix<Scalar>("partita::kernel_bench::matrix", rows, columns), number<Scalar>);
}

Vector<std::int32_t> labels(index_t n, index_t V) {
  return filled(Vector<std::int32_t>("partita::kernel_bench::labels", n), [V](std::size_t i) {
    return static_cast<std::int32_t>(random_bits(2, Stream::test, i) % static_cast<std::uint64_t>(V));
  });
}

template Vector<float> vector<float>(index_t);
template Vector<bfloat16> vector<bfloat16>(index_t);
template Vector<float16> vector<float16>(index_t);
template Matrix<float> matrix<float>(index_t, index_t);

}  // namespace partita::kernel_bench
