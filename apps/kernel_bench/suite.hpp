// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <partita/kernels/context.hpp>
#include <partita/kernels/cost.hpp>

namespace partita::kernel_bench {

using Call = std::function<void()>;

/// A benchmark: its name, what one call costs, and what sets a call up (operands are made once, not timed).
struct Bench {
  std::string name;
  kernels::cost::Cost cost;
  std::function<Call(kernels::Context&)> prepare;
};

/// What can be measured, in the order of the output. One line a kernel and size: `add`.
class Suite {
 public:
  Suite();
  void add(std::string name, kernels::cost::Cost cost, std::function<Call(kernels::Context&)> prepare) {
    benches_.push_back({std::move(name), cost, std::move(prepare)});
  }
  const std::vector<Bench>& benches() const { return benches_; }

 private:
  std::vector<Bench> benches_;
};

// Families, each in the file of its name.
void add_dense(Suite& suite);
void add_elementwise(Suite& suite);
void add_sequence(Suite& suite);
void add_image(Suite& suite);
void add_models(Suite& suite);

/// Operands that hold small numbers other than zero: slow paths (subnormals, NaN) are not what is measured.
template <class Scalar = float>
Vector<Scalar> vector(index_t n);
template <class Scalar = float>
Matrix<Scalar> matrix(index_t rows, index_t columns);
/// 0 .. V - 1, in some order.
Vector<std::int32_t> labels(index_t n, index_t V);

}  // namespace partita::kernel_bench
