// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>

#include <support/caught.hpp>

// Values on the host, placed in Exec's memory at any offset and row pitch, and brought back.

namespace partita::kernels::test {

using testing::caught;

/// The sizes at which kernels go wrong: nothing, one, less than a vector, just more than one or two.
inline const std::vector<index_t> odd_sizes = {0, 1, 3, 17, 33};

/// Normal deviates, a function of (seed, index).
template <class Scalar>
std::vector<Scalar> random_values(std::uint64_t seed, index_t n) {
  static std::map<std::uint64_t, std::vector<Scalar>> drawn;
  std::vector<Scalar>& values = drawn[seed];
  for (index_t i = std::ssize(values); i < n; ++i)
    values.push_back(Scalar(normal(seed, Stream::test, std::uint64_t(i))));
  return {values.begin(), values.begin() + n};
}

/// What make() returns, made once for each place in the code and each key, which is all that it depends on: references
/// take most of the time of a test under sanitizers, and know no backend, placement or number of threads.
template <class Make>
const auto& once(const std::vector<index_t>& key, const Make& make) {
  static std::map<std::vector<index_t>, decltype(make())> made;
  const auto found = made.find(key);
  return found != made.end() ? found->second : made.emplace(key, make()).first->second;
}

template <class Scalar>
Vector<Scalar> to_device(const std::vector<Scalar>& values, index_t offset = 0) {
  Vector<Scalar> buffer("test", values.size() + offset);
  const auto mirror = Kokkos::create_mirror_view(buffer);
  for (std::size_t i = 0; i < values.size(); ++i) mirror(i + offset) = values[i];
  Kokkos::deep_copy(buffer, mirror);
  return Kokkos::subview(buffer, Kokkos::pair(std::size_t(offset), buffer.extent(0)));
}

template <class View>
auto to_host(const View& view) {
  using Scalar = typename View::non_const_value_type;
  const auto mirror = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  std::vector<Scalar> values;
  values.reserve(view.size());
  if constexpr (View::rank() == 0)
    values.push_back(mirror());
  else if constexpr (View::rank() == 1)
    for (std::size_t i = 0; i < view.extent(0); ++i) values.push_back(mirror(i));
  else
    for (std::size_t i = 0; i < view.extent(0); ++i)
      for (std::size_t j = 0; j < view.extent(1); ++j) values.push_back(mirror(i, j));
  return values;
}

/// How a matrix lies in its buffer: `offset` elements in front, `pad` elements after each row.
struct Placement {
  index_t offset = 0;
  index_t pad = 0;
};
inline const std::vector<Placement> placements = {{0, 0}, {1, 0}, {3, 5}};

/// A matrix inside a bigger buffer whose other elements are a marker, so that a stray write shows.
template <class Scalar>
class Placed {
 public:
  Placed(index_t rows, index_t columns, Placement placement = {})
      : rows_(rows), columns_(columns), placement_(placement) {
    buffer_ = to_device(std::vector<Scalar>(placement.offset + rows * pitch(), marker));
  }
  Placed(const std::vector<Scalar>& values, index_t rows, index_t columns, Placement placement = {})
      : rows_(rows), columns_(columns), placement_(placement) {
    std::vector<Scalar> all(placement.offset + rows * pitch(), marker);
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < columns; ++j) all[placement.offset + i * pitch() + j] = values[i * columns + j];
    buffer_ = to_device(all);
  }

  Matrix<Scalar> matrix() const {
    const Matrix<Scalar> whole(buffer_.data() + placement_.offset, rows_, pitch());
    return Kokkos::subview(whole, Kokkos::ALL, Kokkos::pair<index_t, index_t>(0, columns_));
  }
  std::vector<Scalar> values() const {
    const std::vector<Scalar> all = to_host(buffer_);
    std::vector<Scalar> inside;
    for (index_t i = 0; i < rows_; ++i)
      for (index_t j = 0; j < columns_; ++j) inside.push_back(all[placement_.offset + i * pitch() + j]);
    return inside;
  }
  bool surroundings_untouched() const {
    const std::vector<Scalar> all = to_host(buffer_);
    for (index_t e = 0; e < index_t(all.size()); ++e) {
      const index_t in_rows = e - placement_.offset;
      const bool inside = in_rows >= 0 && in_rows % pitch() < columns_;
      if (!inside && all[e] != marker) return false;
    }
    return true;
  }

 private:
  static constexpr Scalar marker = Scalar(-12345);
  index_t pitch() const { return std::max<index_t>(1, columns_ + placement_.pad); }

  index_t rows_, columns_;
  Placement placement_;
  Vector<Scalar> buffer_;
};

/// The same bits, element by element; NaN equals itself.
template <class Scalar>
::testing::AssertionResult same_bits(const std::vector<Scalar>& got, const std::vector<Scalar>& expected) {
  if (got.size() != expected.size())
    return ::testing::AssertionFailure() << got.size() << " elements, expected " << expected.size();
  for (std::size_t i = 0; i < got.size(); ++i)
    if (std::memcmp(&got[i], &expected[i], sizeof(Scalar)) != 0)
      return ::testing::AssertionFailure()
             << "element " << i << ": " << std::hexfloat << got[i] << ", expected " << expected[i];
  return ::testing::AssertionSuccess();
}

/// |got - expected| <= bound, element by element.
template <class Scalar>
::testing::AssertionResult within(const std::vector<Scalar>& got, const std::vector<Scalar>& expected,
                                  const std::vector<double>& bound) {
  if (got.size() != expected.size())
    return ::testing::AssertionFailure() << got.size() << " elements, expected " << expected.size();
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(double(got[i]) - double(expected[i])) <= bound[i]))
      return ::testing::AssertionFailure()
             << "element " << i << ": " << got[i] << ", expected " << expected[i] << ", off by "
             << std::abs(double(got[i]) - double(expected[i])) << ", bound " << bound[i];
  return ::testing::AssertionSuccess();
}

template <class Scalar>
inline constexpr double unit_roundoff = std::numeric_limits<Scalar>::epsilon() / 2;

/// Instances of 1, 2 and 3 threads, whatever OMP_NUM_THREADS says, where Exec offers that; else the default one.
template <class Space = Exec>
std::vector<Space> instances() {
  if constexpr (std::is_constructible_v<Space, int>)
    return {Space(1), Space(2), Space(3)};
  else
    return {Space()};
}

/// The backends of this build.
inline std::vector<Backend> backends() {
  if (math_backend_name() == "portable") return {Backend::portable};
  return {Backend::portable, Backend::vendor};
}

}  // namespace partita::kernels::test
