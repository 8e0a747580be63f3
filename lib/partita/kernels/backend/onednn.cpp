// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <map>
#include <string_view>

#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/onednn_api.hpp>
#include <partita/kernels/backend/onednn_threads.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/backend/vendor.hpp>

namespace partita::kernels::backend {
namespace {

using dnnl::memory;
using onednn::ThreadGuard;

/// C (M, N) = act(alpha A (M, K) B (K, N) + beta C + bias), as what identifies a primitive.
struct MatmulProblem {
  index_t M, N, K;
  std::array<index_t, 2> a_strides, b_strides;
  index_t leading;
  bool bias = false;
  Activation activation = Activation::identity;
  float alpha = 1, beta = 0;
  index_t batches = 1;
  std::array<index_t, 3> batch_strides = {};  // of A, B, C

  auto operator<=>(const MatmulProblem&) const = default;
};

memory::desc matrix_desc(index_t rows, index_t columns, std::array<index_t, 2> strides, index_t batches = 1,
                         index_t batch_stride = 0) {
  if (batches == 1) return {memory::dims{rows, columns}, memory::data_type::f32, memory::dims{strides[0], strides[1]}};
  return {memory::dims{batches, rows, columns}, memory::data_type::f32,
          memory::dims{batch_stride, strides[0], strides[1]}};
}

/// A primitive, its memory objects, whose pointers are set at each call, and its arguments: we allocate nothing then.
class Product {
 public:
  Product(const dnnl::engine& engine, const MatmulProblem& problem) {
    const auto [M, N, K, a_strides, b_strides, leading, bias, activation, alpha, beta, batches, steps] = problem;
    const memory::desc a = matrix_desc(M, K, a_strides, batches, steps[0]),
                       b = matrix_desc(K, N, b_strides, batches, steps[1]),
                       c = matrix_desc(M, N, {leading, 1}, batches, steps[2]);
    const memory::desc bias_row = bias ? matrix_desc(1, N, {N, 1}) : memory::desc();
    dnnl::primitive_attr attributes;
    dnnl::post_ops after;
    onednn::append_scale(attributes, after, alpha);
    if (beta != 0.0f) after.append_sum(beta);
    if (activation == Activation::tanh) onednn::append_eltwise(after, dnnl::algorithm::eltwise_tanh);
    if (activation == Activation::sigmoid) onednn::append_eltwise(after, dnnl::algorithm::eltwise_logistic);
    if (activation == Activation::gelu) onednn::append_eltwise(after, dnnl::algorithm::eltwise_gelu_erf);
    if (activation == Activation::gelu_tanh) onednn::append_eltwise(after, dnnl::algorithm::eltwise_gelu_tanh);
    if (activation == Activation::silu) onednn::append_eltwise(after, dnnl::algorithm::eltwise_swish, 1.0f);
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attributes.set_post_ops(after);
    const auto chosen = onednn::matmul(engine, a, b, bias_row, c, attributes);
    primitive_ = dnnl::matmul(chosen);
    scratch_bytes_ = chosen.scratchpad_desc().get_size();
    sgemm_ = std::string_view(chosen.impl_info_str()).starts_with("gemm");
    add(DNNL_ARG_SRC, a, engine);
    add(DNNL_ARG_WEIGHTS, b, engine);
    add(DNNL_ARG_DST, c, engine);
    add(DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc(), engine);
    if (bias) add(DNNL_ARG_BIAS, bias_row, engine);
  }

  /// Whether oneDNN chose its sgemm (2.6 without AVX-512), not one of its newer kernels.
  bool is_sgemm() const { return sgemm_; }

  /// The C interface: the C++ one copies the arguments into a vector.
  void run(Context& context, const dnnl::stream& stream, const float* a, const float* b, float* c, const float* bias) {
    const std::array<const void*, 5> pointers = {a, b, c, context.scratch(scratch_bytes_), bias};
    for (std::size_t i = 0; i < count_; ++i) memories_[i].set_data_handle(const_cast<void*>(pointers[i]));
    onednn::check(dnnl_primitive_execute(primitive_.get(), stream.get(), int(count_), arguments_.data()), "matmul");
  }

 private:
  void add(int role, const memory::desc& desc, const dnnl::engine& engine) {
    memories_[count_] = memory(desc, engine, DNNL_MEMORY_NONE);
    arguments_[count_] = {role, memories_[count_].get()};
    ++count_;
  }

  dnnl::matmul primitive_;
  std::array<memory, 5> memories_;
  std::array<dnnl_exec_arg_t, 5> arguments_;
  std::size_t count_ = 0;
  std::size_t scratch_bytes_ = 0;
  bool sgemm_ = false;
};

/// No fence: kernels of host execution spaces have run when their launch returns, and so has a primitive.
class OneDnn final : public Vendor {
 public:
  /// relu is ours: oneDNN's is max(z, 0), which makes 0 of NaN. Its sgemm would add the bias in a pass of its own; one
  /// pass does both then.
  void linear_forward(Context& context, Activation activation, ConstMatrix<float> x, ConstMatrix<float> W,
                      const float* bias, Matrix<float> y) override {
    const bool relu = activation == Activation::relu;
    MatmulProblem problem{.M = index_t(x.extent(0)),
                          .N = index_t(W.extent(0)),
                          .K = index_t(x.extent(1)),
                          .a_strides = {index_t(x.stride(0)), 1},
                          .b_strides = {1, index_t(W.stride(0))},
                          .leading = index_t(y.stride(0)),
                          .bias = bias != nullptr,
                          .activation = relu ? Activation::identity : activation};
    const bool apart = relu && bias != nullptr && product(context, problem).is_sgemm();
    if (apart) problem.bias = false;
    multiply(context, problem, x.data(), W.data(), y.data(), apart ? nullptr : bias);
    if (apart)
      apply_epilogue<float>(context.exec(), {bias, activation}, y);
    else if (relu)
      activation_forward<float>(context.exec(), activation, y);
  }

  void linear_backward_input(Context& context, ConstMatrix<float> dy, ConstMatrix<float> W, Matrix<float> dx) override {
    static const GemmLabels labels("partita::kernels::linear_backward_input");
    const MatmulProblem problem{.M = index_t(dy.extent(0)),
                                .N = index_t(W.extent(1)),
                                .K = index_t(W.extent(0)),
                                .a_strides = {index_t(dy.stride(0)), 1},
                                .b_strides = {index_t(W.stride(0)), 1},
                                .leading = index_t(dx.stride(0))};
    // For small batches that sgemm does not pack W, and rows a multiple of 1 KiB apart evict each other from the
    // caches: it was seen at 0.6 of its rate, the portable GEMM at 0.85.
    // Packed once for all micro-batches, ours is ahead of it; oneDNN 2.6 shows no packed form of its own.
    if (problem.M <= 256 && problem.b_strides[0] % 256 == 0 && product(context, problem).is_sgemm())
      return weight_gemm<float>(context, labels, problem.M, problem.N, problem.K, {dy.data(), problem.a_strides[0], 1},
                                {W.data(), problem.b_strides[0], 1}, layout_of(context, problem), dx.data(),
                                problem.leading);
    multiply(context, problem, dy.data(), W.data(), dx.data(), nullptr);
  }

  void linear_backward_weights(Context& context, Store store, ConstMatrix<float> x, ConstMatrix<float> dy,
                               Matrix<float> dW, Vector<float> db) override {
    multiply(context,
             {.M = index_t(dy.extent(1)),
              .N = index_t(x.extent(1)),
              .K = index_t(x.extent(0)),
              .a_strides = {1, index_t(dy.stride(0))},
              .b_strides = {index_t(x.stride(0)), 1},
              .leading = index_t(dW.stride(0)),
              .beta = store == Store::accumulate ? 1.0f : 0.0f},
             dy.data(), x.data(), dW.data(), nullptr);
    if (db.extent(0) > 0) column_sum<float>(context, {}, store, dy, db);
  }

  void gemm(Context& context, const GemmOptions& o, const MatrixBatch<const float>& A,
            const MatrixBatch<const float>& B, const MatrixBatch<float>& C) override {
    const auto strides = [](index_t row_stride, bool transposed) {
      return transposed ? std::array<index_t, 2>{1, row_stride} : std::array<index_t, 2>{row_stride, 1};
    };
    MatmulProblem problem{.M = C.rows,
                          .N = C.columns,
                          .K = o.transpose_a ? A.rows : A.columns,
                          .a_strides = strides(A.row_stride, o.transpose_a),
                          .b_strides = strides(B.row_stride, o.transpose_b),
                          .leading = C.row_stride,
                          .alpha = float(o.alpha),
                          .beta = float(o.beta)};
    if (A.batch_stride == 0 || B.batch_stride == 0) {  // one matrix: a shared one is no batch to oneDNN
      for (index_t i = 0; i < C.batches; ++i)
        multiply(context, problem, A.data + i * A.batch_stride, B.data + i * B.batch_stride,
                 C.data + i * C.batch_stride, nullptr);
      return;
    }
    problem.batches = C.batches;
    problem.batch_strides = {A.batch_stride, B.batch_stride, C.batch_stride};
    multiply(context, problem, A.data, B.data, C.data, nullptr);
  }

 private:
  int layout_of(Context& context, const MatmulProblem& problem) {
    const std::array<index_t, 3> weights = {problem.K, problem.N, problem.b_strides[0]};
    const auto known = layouts_.find(weights);
    if (known != layouts_.end()) return known->second;
    return layouts_.emplace(weights, context.packed_weights().new_layout()).first->second;
  }

  Product& product(const Context& context, const MatmulProblem& problem) {
    const auto at = products_.find(problem);
    if (at != products_.end()) return at->second;
    const ThreadGuard threads(threads_of(context.exec()));
    return products_.try_emplace(problem, engine_, problem).first->second;
  }

  void multiply(Context& context, const MatmulProblem& problem, const float* a, const float* b, float* c,
                const float* bias) {
    const ThreadGuard threads(threads_of(context.exec()));
    product(context, problem).run(context, stream_, a, b, c, bias);
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<MatmulProblem, Product> products_;
  std::map<std::array<index_t, 3>, int> layouts_;  // of weights that our GEMM packs
};

}  // namespace

std::unique_ptr<Vendor> make_vendor(const Exec&) { return std::make_unique<OneDnn>(); }

std::string vendor_name() { return onednn::library_name(); }

}  // namespace partita::kernels::backend
