// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <partita/kernels/backend/conv_vendor.hpp>
#include <partita/kernels/backend/onednn_api.hpp>
#include <partita/kernels/backend/onednn_threads.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/elementwise.hpp>

// Images stay channels-last. Weights are reordered to the layout that oneDNN's kernel wants, once in a period of
// PackedWeights, else in each call and in our scratch; their gradients from it in each call.

namespace partita::kernels::backend {
namespace {

using dnnl::memory;

enum class Pass { forward, forward_bias, backward_input, backward_weights };

/// What identifies a primitive: oneDNN divides its work by the threads that it saw when it made one.
struct ConvProblem {
  Pass pass;
  index_t B;
  Conv2dShape shape;
  int threads;

  auto operator<=>(const ConvProblem&) const = default;
};

memory::desc images(index_t B, index_t rows, index_t columns, index_t channels) {
  return {memory::dims{B, channels, rows, columns}, memory::data_type::f32, memory::format_tag::nhwc};
}

memory::desc weights(const Conv2dShape& s, memory::format_tag layout) {
  return {memory::dims{s.filters, s.channels, s.kernel_rows, s.kernel_columns}, memory::data_type::f32, layout};
}

/// As we describe it to oneDNN, which leaves no rows out but those below its last window. A negative padding there
/// passes its checks and was seen to give wrong weight gradients (2.6.3).
Conv2dShape described(const Conv2dShape& s) {
  Conv2dShape theirs = s;
  theirs.below = std::max<index_t>(s.below, 0);
  return theirs;
}
bool describable(const Conv2dShape& s) { return s.above >= 0 && described(s).out_rows() == s.out_rows(); }

/// oneDNN offers its matrix-product kernels (brgconv) before those made for convolutions. With few channels the latter
/// were seen at 1.1 to 1.4 times their rate (2.6.3, AVX-512, channels-last, 1 to 32 channels); with 64 and more they
/// are no better.
const char* preferred(const Conv2dShape& s) { return s.channels <= 32 && s.filters <= 32 ? "jit:avx512" : ""; }

/// oneDNN 2.6.3's backward-weights of strided 1x1 convolutions copies the pixels that it needs into a scratchpad that
/// it asks too little of: for channels that are no multiple of 8 (jit_1x1:avx2, whose numbers are wrong then) or when
/// threads share an image (jit_1x1:avx512_core) it writes beyond. The next one is as fast with AVX-512.
bool writes_beyond(const Conv2dShape& s, std::string_view implementation) {
  return s.stride > 1 && implementation.starts_with("jit_1x1");
}

/// A primitive with its memory objects, whose pointers are set at each call, and its arguments: we allocate nothing
/// then. The C interface: the C++ one copies the arguments into a vector.
class Call {
 public:
  void set(const dnnl::primitive& primitive) { primitive_ = primitive; }
  void add(int role, const memory::desc& desc, const dnnl::engine& engine) {
    memories_[count_] = memory(desc, engine, DNNL_MEMORY_NONE);
    arguments_[count_] = {role, memories_[count_].get()};
    ++count_;
  }
  explicit operator bool() const { return count_ > 0; }

  /// Pointers in the order of add.
  void run(const dnnl::stream& stream, std::array<const void*, 5> pointers, const char* what) {
    for (std::size_t i = 0; i < count_; ++i) memories_[i].set_data_handle(const_cast<void*>(pointers[i]));
    onednn::check(dnnl_primitive_execute(primitive_.get(), stream.get(), int(count_), arguments_.data()), what);
  }

 private:
  dnnl::primitive primitive_;
  std::array<memory, 5> memories_;
  std::array<dnnl_exec_arg_t, 5> arguments_{};
  std::size_t count_ = 0;
};

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// The numbers of oneDNN's layouts of weights: primitives that want the same share the copies.
class Layouts {
 public:
  int number(PackedWeights& packed, const memory::desc& desc) {
    const auto known = std::find_if(all_.begin(), all_.end(), [&](const auto& each) { return each.first == desc; });
    return known != all_.end() ? known->second : all_.emplace_back(desc, packed.new_layout()).second;
  }

 private:
  std::vector<std::pair<memory::desc, int>> all_;
};

/// A convolution and the reorder of its weights, if oneDNN wants them in blocks.
class Convolution {
 public:
  Convolution(const dnnl::engine& engine, const ConvProblem& problem, Context& context, Layouts& layouts)
      : pass_(problem.pass), filters_size_(problem.shape.filters * problem.shape.kernel()) {
    const Conv2dShape& s = problem.shape;
    if (!describable(s)) return;
    const memory::desc ours = weights(s, memory::format_tag::ohwi);
    const bool biased = pass_ == Pass::forward_bias;
    const onednn::Convolution c{
        .src = images(problem.B, s.rows, s.columns, s.channels),
        .weights = weights(s, memory::format_tag::any),
        .bias = biased ? memory::desc(memory::dims{s.filters}, memory::data_type::f32, memory::format_tag::a)
                       : memory::desc(),
        .dst = images(problem.B, s.out_rows(), s.out_columns(), s.filters),
        .strides = {s.stride, s.stride},
        .before = {s.above, s.padding},
        .after = {described(s).below, s.padding}};
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto forward = onednn::convolution_forward(engine, c, attributes, preferred(s));
    if (pass_ == Pass::backward_input) {
      const auto chosen = onednn::convolution_backward_data(engine, c, attributes, forward);
      make(dnnl::convolution_backward_data(chosen), engine, DNNL_ARG_DIFF_DST, c.dst, DNNL_ARG_WEIGHTS,
           chosen.weights_desc(), DNNL_ARG_DIFF_SRC, c.src, chosen.scratchpad_desc());
      pack_weights(engine, ours, chosen.weights_desc(), context, layouts);
    } else if (pass_ == Pass::backward_weights) {
      const auto chosen = onednn::convolution_backward_weights(
          engine, c, attributes, forward, [&](std::string_view name) { return writes_beyond(s, name); });
      if (!chosen) return;
      make(dnnl::convolution_backward_weights(chosen), engine, DNNL_ARG_SRC, c.src, DNNL_ARG_DIFF_DST, c.dst,
           DNNL_ARG_DIFF_WEIGHTS, chosen.diff_weights_desc(), chosen.scratchpad_desc());
      reorder(reorder_, engine, chosen.diff_weights_desc(), ours);
      reorder(add_, engine, chosen.diff_weights_desc(), ours, 1.0f);
    } else {
      make(dnnl::convolution_forward(forward), engine, DNNL_ARG_SRC, c.src, DNNL_ARG_WEIGHTS, forward.weights_desc(),
           DNNL_ARG_DST, c.dst, forward.scratchpad_desc());
      if (biased) convolution_.add(DNNL_ARG_BIAS, c.bias, engine);
      pack_weights(engine, ours, forward.weights_desc(), context, layouts);
    }
  }

  /// Whether oneDNN has an implementation that we take.
  bool available() const { return bool(convolution_); }

  /// Operands in the order of `make`; `bias` or null. oneDNN's backward-weights cannot add: its reorder does, or else
  /// what is accumulated goes into scratch first.
  void run(Context& context, const dnnl::stream& stream, Store store, const float* first, const float* second,
           float* result, const float* bias) {
    const bool gradient = pass_ == Pass::backward_weights, adds = store == Store::accumulate;
    const auto size = std::size_t(filters_size_);
    const std::size_t plain_bytes = adds && !reorder_ ? aligned(size * sizeof(float)) : 0;
    PackedWeights::Place packed;
    if (reorder_ && !gradient) packed = context.packed_weights().find(context.exec(), second, layout_, weights_bytes_);
    auto* const blocked = static_cast<std::byte*>(
        context.scratch(weights_bytes_ + reorder_scratchpad_bytes_ + plain_bytes + scratchpad_bytes_));
    std::byte* const reorder_scratchpad = blocked + weights_bytes_;
    std::byte* const plain = reorder_scratchpad + reorder_scratchpad_bytes_;
    std::byte* const scratchpad = plain + plain_bytes;  // last: tests see what lies behind
    if (!gradient) {
      const void* inner = second;
      if (reorder_) {
        void* const into = packed.data != nullptr ? packed.data : blocked;
        if (packed.stale) reorder_.run(stream, {second, into, reorder_scratchpad}, "reorder");
        inner = into;
      }
      return convolution_.run(stream, {first, inner, result, scratchpad, bias}, "convolution");
    }
    const void* const outer = reorder_ ? static_cast<const void*>(blocked) : adds ? plain : static_cast<void*>(result);
    convolution_.run(stream, {first, second, outer, scratchpad, bias}, "convolution");
    if (reorder_)
      (adds ? add_ : reorder_).run(stream, {blocked, result, reorder_scratchpad}, "reorder");
    else if (adds)
      add<float>(context.exec(), ConstVector<float>(static_cast<const float*>(outer), size),
                 Vector<float>(result, size));
  }

 private:
  void make(const dnnl::primitive& primitive, const dnnl::engine& engine, int role_1, const memory::desc& desc_1,
            int role_2, const memory::desc& desc_2, int role_3, const memory::desc& desc_3,
            const memory::desc& scratchpad) {
    convolution_.set(primitive);
    convolution_.add(role_1, desc_1, engine);
    convolution_.add(role_2, desc_2, engine);
    convolution_.add(role_3, desc_3, engine);
    convolution_.add(DNNL_ARG_SCRATCHPAD, scratchpad, engine);
    scratchpad_bytes_ = aligned(scratchpad.get_size());
  }

  void pack_weights(const dnnl::engine& engine, const memory::desc& ours, const memory::desc& theirs, Context& context,
                    Layouts& layouts) {
    reorder(reorder_, engine, ours, theirs);
    if (reorder_) layout_ = layouts.number(context.packed_weights(), theirs);
  }

  /// `beta` of what is there is kept.
  void reorder(Call& call, const dnnl::engine& engine, const memory::desc& from, const memory::desc& to,
               float beta = 0) {
    if (from == to) return;
    dnnl::primitive_attr attributes;
    dnnl::post_ops after;
    if (beta != 0) after.append_sum(beta);
    attributes.set_post_ops(after);
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::reorder::primitive_desc chosen(engine, from, engine, to, attributes);
    call.set(dnnl::reorder(chosen));
    call.add(DNNL_ARG_FROM, from, engine);
    call.add(DNNL_ARG_TO, to, engine);
    call.add(DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc(), engine);
    weights_bytes_ = aligned(std::max(from.get_size(), to.get_size()));
    reorder_scratchpad_bytes_ = std::max(reorder_scratchpad_bytes_, aligned(chosen.scratchpad_desc().get_size()));
  }

  Pass pass_;
  index_t filters_size_;
  Call convolution_, reorder_, add_;
  int layout_ = -1;  // of the weights, where they are reordered
  std::size_t scratchpad_bytes_ = 0, weights_bytes_ = 0, reorder_scratchpad_bytes_ = 0;
};

/// No fence: kernels of host execution spaces have run when their launch returns, and so has a primitive.
class OneDnnConv final : public ConvVendor {
 public:
  bool forward(Context& context, const Conv2dShape& shape, ConstMatrix<float> x, ConstMatrix<float> W,
               ConstVector<float> b, Matrix<float> y) override {
    return run(context, b.extent(0) > 0 ? Pass::forward_bias : Pass::forward, index_t(x.extent(0)), shape, x.data(),
               W.data(), y.data(), b.data());
  }
  bool backward_input(Context& context, const Conv2dShape& shape, ConstMatrix<float> dy, ConstMatrix<float> W,
                      Matrix<float> dx) override {
    return run(context, Pass::backward_input, index_t(dy.extent(0)), shape, dy.data(), W.data(), dx.data(), nullptr);
  }
  bool backward_weights(Context& context, const Conv2dShape& shape, Store store, ConstMatrix<float> x,
                        ConstMatrix<float> dy, Matrix<float> dW) override {
    return run(context, Pass::backward_weights, index_t(x.extent(0)), shape, x.data(), dy.data(), dW.data(), nullptr,
               store);
  }

 private:
  bool run(Context& context, Pass pass, index_t B, const Conv2dShape& shape, const float* first, const float* second,
           float* result, const float* bias, Store store = Store::overwrite) {
    const int threads = threads_of(context.exec());
    const onednn::ThreadGuard guard(threads);
    const ConvProblem problem{pass, B, shape, threads};
    auto at = convolutions_.find(problem);
    if (at == convolutions_.end()) at = convolutions_.try_emplace(problem, engine_, problem, context, layouts_).first;
    if (at->second.available()) at->second.run(context, stream_, store, first, second, result, bias);
    return at->second.available();
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  Layouts layouts_;
  std::map<ConvProblem, Convolution> convolutions_;
};

}  // namespace

std::unique_ptr<ConvVendor> make_conv_vendor(const Exec&) { return std::make_unique<OneDnnConv>(); }

std::string conv_vendor_name() { return onednn::library_name(); }

}  // namespace partita::kernels::backend
