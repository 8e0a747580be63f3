// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>

#include "support.hpp"

namespace partita::kernels::test::context_tests {
namespace {

Options with(Backend backend) { return {.backend = backend, .deterministic = false, .per_kernel = {}}; }
const bool has_vendor = math_backend_name() != "portable";

TEST(context, automatic_takes_the_vendor_where_there_is_one) {
  EXPECT_EQ(Context(Exec(), with(Backend::automatic)).backend(Kernel::linear),
            has_vendor ? Backend::vendor : Backend::portable);
  EXPECT_EQ(Context(Exec(), with(Backend::portable)).backend(Kernel::linear), Backend::portable);
}

TEST(context, vendor_where_there_is_none_is_an_environment_error) {
  if (has_vendor)
    EXPECT_EQ(Context(Exec(), with(Backend::vendor)).backend(Kernel::linear), Backend::vendor);
  else
    EXPECT_THROW(Context(Exec(), with(Backend::vendor)), EnvironmentError);
}

TEST(context, one_kernel_can_differ) {
  Options options = with(Backend::automatic);
  options.per_kernel["linear"] = Backend::portable;
  EXPECT_EQ(Context(Exec(), options).backend(Kernel::linear), Backend::portable);
}

TEST(context, deterministic_forces_portable) {
  Options options = with(Backend::automatic);
  options.deterministic = true;
  options.per_kernel["linear"] = Backend::automatic;
  const Context context(Exec(), options);
  EXPECT_TRUE(context.deterministic());
  EXPECT_EQ(context.backend(Kernel::linear), Backend::portable);
}

TEST(context, unknown_kernel_is_a_usage_error) {
  Options options;
  options.per_kernel["liner"] = Backend::portable;
  EXPECT_THROW(Context(Exec(), options), UsageError);
}

TEST(context, scratch_grows_and_then_stays) {
  Context context;
  EXPECT_EQ(context.scratch_bytes(), 0u);
  void* const first = context.scratch(1000);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0u);
  EXPECT_EQ(context.scratch(10), first);
  EXPECT_EQ(context.scratch(1000), first);
  EXPECT_EQ(context.scratch_bytes(), 1000u);
  context.scratch(5000);
  EXPECT_EQ(context.scratch_bytes(), 5000u);
}

TEST(context, moves) {
  Context context(Exec(), with(Backend::portable));
  void* const scratch = context.scratch(100);
  Context other = std::move(context);
  EXPECT_EQ(other.scratch(100), scratch);
  EXPECT_EQ(other.backend(Kernel::linear), Backend::portable);
}

}  // namespace
}  // namespace partita::kernels::test::context_tests
