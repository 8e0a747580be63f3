// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/gemm.hpp>
#include <partita/kernels/linear.hpp>

#include "support.hpp"

// Every vendor kernel against the portable one over shapes at which vendors' kernels go wrong (oneDNN 2.6.3's
// backward-weights of strided 1x1 convolutions did): a part of all combinations, which odd steps through the lists
// pick, on one thread and on two. Output and scratch lie between guards: a stray write shows.

namespace partita::kernels::test::vendor_sweep_tests {
namespace {

constexpr index_t guard = 4096;  // bytes, and elements
constexpr float marker = -12345;
constexpr unsigned char scratch_marker = 0x5a;

/// A matrix between two guards.
class Guarded {
 public:
  Guarded(index_t rows, index_t columns)
      : rows_(rows),
        columns_(columns),
        buffer_(to_device(std::vector<float>(std::size_t(2 * guard + rows * columns), marker))) {}
  Matrix<float> matrix() const { return {buffer_.data() + guard, std::size_t(rows_), std::size_t(columns_)}; }
  std::vector<float> values() const {
    const auto all = to_host(buffer_);
    for (index_t i = 0; i < guard; ++i)
      EXPECT_TRUE(all[i] == marker && all[all.size() - 1 - i] == marker) << "written outside, " << i;
    return {all.begin() + guard, all.end() - guard};
  }

 private:
  index_t rows_, columns_;
  Vector<float> buffer_;
};

struct Extents {
  index_t rows, columns;
};

/// out (c) = call(context, a, b, out) by one backend, twice: then it is known how much scratch it asks for.
template <class Call>
std::vector<float> run(const Exec& exec, Backend backend, const Matrix<float>& a, const Matrix<float>& b, Extents c,
                       const Call& call) {
  Context context(exec, {.backend = backend, .deterministic = false, .per_kernel = {}});
  const Guarded out(c.rows, c.columns);
  call(context, a, b, out.matrix());
  const std::size_t asked = context.scratch_bytes(), bytes = asked + guard;
  const Kokkos::View<unsigned char*, Memory, Kokkos::MemoryTraits<Kokkos::Unmanaged>> scratch(
      static_cast<unsigned char*>(context.scratch(bytes)), bytes);
  Kokkos::deep_copy(scratch, scratch_marker);
  call(context, a, b, out.matrix());
  exec.fence();
  const auto after = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), scratch);
  for (std::size_t i = asked; i < bytes; ++i)
    if (after(i) != scratch_marker) {
      ADD_FAILURE() << "scratch written " << i - asked << " bytes behind its end";
      break;
    }
  return out.values();
}

/// Two sums of n products in any order differ by at most 2 gamma_n sum |a b| (Higham 2002, section 3.1).
template <class Call>
void compare(const Exec& exec, index_t n, Extents a, Extents b, Extents c, const Call& call) {
  auto a_values = random_values<float>(1, a.rows * a.columns), b_values = random_values<float>(2, b.rows * b.columns);
  const auto by = [&](const Exec& on, Backend backend) {
    return run(on, backend, Placed<float>(a_values, a.rows, a.columns).matrix(),
               Placed<float>(b_values, b.rows, b.columns).matrix(), c, call);
  };
  const auto got = by(exec, Backend::vendor), expected = by(Exec(), Backend::portable);
  for (float& value : a_values) value = std::abs(value);
  for (float& value : b_values) value = std::abs(value);
  std::vector<double> bound;
  for (float sum : by(Exec(), Backend::portable))
    bound.push_back(2 * double(n + 2) * unit_roundoff<float> * double(sum));
  EXPECT_TRUE(within(got, expected, bound));
}

void compare_conv2d(const Exec& exec, index_t B, const Conv2dShape& s) {
  const Extents x{B, s.inputs()}, W{s.filters, s.kernel()}, y{B, s.outputs()};
  compare(exec, s.kernel(), x, W, y,
          [&](Context& context, auto a, auto b, auto out) { conv2d_forward(context, s, a, b, Vector<float>(), out); });
  compare(exec, s.filters * s.kernel_rows * s.kernel_columns, y, W, x,
          [&](Context& context, auto a, auto b, auto out) { conv2d_backward_input(context, s, a, b, out); });
  compare(exec, B * s.out_rows() * s.out_columns(), x, y, W, [&](Context& context, auto a, auto b, auto out) {
    conv2d_backward_weights<float>(context, s, {}, Store::overwrite, a, b, out, {});
  });
}

void compare_linear(const Exec& exec, index_t B, index_t N, index_t K) {
  const Vector<float> b = to_device(std::vector<float>(N, 0.5f)), db("db", N);
  compare(exec, K + 1, {B, K}, {N, K}, {B, N},
          [&](Context& context, auto x, auto W, auto y) { linear_forward(context, {}, x, W, b, y); });
  compare(exec, N, {B, N}, {N, K}, {B, K},
          [&](Context& context, auto dy, auto W, auto dx) { linear_backward_input(context, {}, dy, W, dx); });
  compare(exec, B, {B, K}, {B, N}, {N, K}, [&](Context& context, auto x, auto dy, auto dW) {
    linear_backward_weights<float>(context, {}, Store::overwrite, x, dy, dW, db);
  });
}

void compare_gemm(const Exec& exec, index_t M, index_t N, index_t K, bool transpose_a, bool transpose_b, double beta) {
  const GemmOptions options{.transpose_a = transpose_a, .transpose_b = transpose_b, .alpha = 1, .beta = beta};
  compare(exec, K + 1, transpose_a ? Extents{K, M} : Extents{M, K}, transpose_b ? Extents{N, K} : Extents{K, N}, {M, N},
          [&](Context& context, auto A, auto B, auto C) {
            if (beta != 0) Kokkos::deep_copy(context.exec(), C, 0.5f);
            gemm(context, options, A, B, C);
          });
}

std::vector<Exec> one_and_two_threads() {
  std::vector<Exec> all = instances();
  if (all.size() > 2) all.erase(all.begin() + 2, all.end());
  return all;
}

const std::vector<index_t> widths = {1, 2, 3, 5, 8, 9, 16, 17};
const std::vector<index_t> extents = {1, 2, 3, 5, 8, 9, 16, 17, 31, 65};

TEST(vendor_sweep, conv2d) {
  if (backends().size() == 1) GTEST_SKIP() << "no vendor library in this build";
  for (const Exec& exec : one_and_two_threads()) {
    std::size_t at = 0;
    for (index_t kernel : {1, 3})
      for (index_t stride : {1, 2, 3})
        for (index_t image : {6, 8, 14, 28})
          for (index_t channels : widths) {
            const index_t filters = widths[3 * ++at % widths.size()], B = 1 + index_t(at % 3);
            SCOPED_TRACE("B " + std::to_string(B) + " image " + std::to_string(image) + " channels " +
                         std::to_string(channels) + " filters " + std::to_string(filters) + " kernel " +
                         std::to_string(kernel) + " stride " + std::to_string(stride));
            compare_conv2d(exec, B, {image, image, channels, filters, kernel, kernel, stride, kernel / 2});
          }
  }
}

/// Rows of zeros that differ above and below the image, or rows left out at its end: slices of it.
TEST(vendor_sweep, conv2d_of_slices) {
  if (backends().size() == 1) GTEST_SKIP() << "no vendor library in this build";
  for (const Exec& exec : one_and_two_threads()) {
    std::size_t at = 0;
    for (index_t kernel : {1, 3, 5})
      for (index_t stride : {1, 2, 3})
        for (index_t image : {6, 13})
          for (index_t above : {0, 1, 2, 5})
            for (index_t below : {-2, -1, 0, 1, 2, 5}) {
              if (image + above + below < kernel) continue;
              const index_t channels = widths[++at % widths.size()], filters = widths[3 * at / 7 % widths.size()];
              SCOPED_TRACE("image " + std::to_string(image) + " channels " + std::to_string(channels) + " filters " +
                           std::to_string(filters) + " kernel " + std::to_string(kernel) + " stride " +
                           std::to_string(stride) + " above " + std::to_string(above) + " below " +
                           std::to_string(below));
              compare_conv2d(exec, 1 + index_t(at % 3),
                             {image, 7, channels, filters, kernel, kernel, stride, kernel / 2, above, below});
            }
  }
}

TEST(vendor_sweep, linear_and_gemm) {
  if (backends().size() == 1) GTEST_SKIP() << "no vendor library in this build";
  for (const Exec& exec : one_and_two_threads()) {
    std::size_t at = 0;
    for (index_t M : extents)
      for (index_t N : extents) {
        const index_t K = extents[3 * ++at % extents.size()];
        SCOPED_TRACE("M " + std::to_string(M) + " N " + std::to_string(N) + " K " + std::to_string(K));
        compare_linear(exec, M, N, K);
        compare_gemm(exec, M, N, K, at % 2 == 1, at / 2 % 2 == 1, double(at % 3 == 1));
      }
  }
}

}  // namespace
}  // namespace partita::kernels::test::vendor_sweep_tests
