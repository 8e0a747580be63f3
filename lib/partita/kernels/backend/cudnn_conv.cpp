// SPDX-License-Identifier: BSD-3-Clause
#include <map>

#include <cudnn.h>

#include <partita/core/error.hpp>
#include <partita/kernels/backend/conv_vendor.hpp>
#include <partita/kernels/backend/gemm.hpp>

// cuDNN takes our channels-last images and filters as they are. fp32 throughout: CUDNN_FMA_MATH leaves TF32 off unless
// Options::tf32 asks for it. Algorithms come from the library's heuristic and are kept; nothing is timed.

namespace partita::kernels::backend {
namespace {

constexpr std::size_t conv_workspace_bytes = std::size_t(64)
                                             << 20;  // at most: an algorithm that wants more is left out

void check(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS) throw Error(std::string("cuDNN: ") + what + ": " + cudnnGetErrorString(status));
}

enum class Pass { forward, backward_input, backward_weights };

struct ConvProblem {
  Pass pass;
  index_t B;
  Conv2dShape shape;

  auto operator<=>(const ConvProblem&) const = default;
};

/// cuDNN has as many rows of zeros below an image as above it: right where that makes as many rows of outputs.
bool describable(const Conv2dShape& s) {
  Conv2dShape theirs = s;
  theirs.below = s.above;
  return s.above >= 0 && theirs.out_rows() == s.out_rows();
}

/// Descriptors and the chosen algorithm of one problem.
class Convolution {
 public:
  Convolution(cudnnHandle_t handle, const ConvProblem& problem, bool tf32) {
    const Conv2dShape& s = problem.shape;
    check(cudnnCreateTensorDescriptor(&x_), "descriptor");
    check(cudnnCreateTensorDescriptor(&y_), "descriptor");
    check(cudnnCreateFilterDescriptor(&W_), "descriptor");
    check(cudnnCreateConvolutionDescriptor(&convolution_), "descriptor");
    if (!describable(s)) return;
    images(x_, problem.B, s.rows, s.columns, s.channels);
    images(y_, problem.B, s.out_rows(), s.out_columns(), s.filters);
    check(cudnnSetFilter4dDescriptor(W_, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, int(s.filters), int(s.channels),
                                     int(s.kernel_rows), int(s.kernel_columns)),
          "filters");
    check(cudnnSetConvolution2dDescriptor(convolution_, int(s.above), int(s.padding), int(s.stride), int(s.stride), 1,
                                          1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
          "convolution");
    check(cudnnSetConvolutionMathType(convolution_, tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH), "math type");
    if (problem.pass == Pass::forward)
      choose(forward_, cudnnGetConvolutionForwardAlgorithm_v7, handle, x_, W_, convolution_, y_);
    else if (problem.pass == Pass::backward_input)
      choose(backward_input_, cudnnGetConvolutionBackwardDataAlgorithm_v7, handle, W_, y_, convolution_, x_);
    else
      choose(backward_weights_, cudnnGetConvolutionBackwardFilterAlgorithm_v7, handle, x_, y_, convolution_, W_);
  }
  ~Convolution() {
    cudnnDestroyConvolutionDescriptor(convolution_);
    cudnnDestroyFilterDescriptor(W_);
    cudnnDestroyTensorDescriptor(y_);
    cudnnDestroyTensorDescriptor(x_);
  }
  Convolution(const Convolution&) = delete;
  Convolution& operator=(const Convolution&) = delete;

  /// Whether the library has an algorithm for this problem.
  bool available() const { return available_; }

  void forward(Context& context, cudnnHandle_t handle, const float* x, const float* W, float* y) const {
    check(cudnnConvolutionForward(handle, &one, x_, x, W_, W, convolution_, forward_.algo, context.scratch(bytes_),
                                  bytes_, &zero, y_, y),
          "forward");
  }
  void backward_input(Context& context, cudnnHandle_t handle, const float* dy, const float* W, float* dx) const {
    check(cudnnConvolutionBackwardData(handle, &one, W_, W, y_, dy, convolution_, backward_input_.algo,
                                       context.scratch(bytes_), bytes_, &zero, x_, dx),
          "backward-input");
  }
  void backward_weights(Context& context, cudnnHandle_t handle, Store store, const float* x, const float* dy,
                        float* dW) const {
    const float* const beta = store == Store::accumulate ? &one : &zero;
    check(cudnnConvolutionBackwardFilter(handle, &one, x_, x, y_, dy, convolution_, backward_weights_.algo,
                                         context.scratch(bytes_), bytes_, beta, W_, dW),
          "backward-weights");
  }

 private:
  static constexpr float one = 1, zero = 0;

  static void images(cudnnTensorDescriptor_t to, index_t B, index_t rows, index_t columns, index_t channels) {
    check(cudnnSetTensor4dDescriptor(to, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, int(B), int(channels), int(rows),
                                     int(columns)),
          "images");
  }

  /// The first that the heuristic offers with a workspace of ours, and, without TF32, in plain fp32.
  template <class Choice, class Heuristic, class... Operands>
  void choose(Choice& choice, const Heuristic& heuristic, const Operands&... operands) {
    Choice offers[8];
    int count = 0;
    if (heuristic(operands..., 8, &count, offers) != CUDNN_STATUS_SUCCESS) return;
    cudnnMathType_t wanted = CUDNN_DEFAULT_MATH;
    check(cudnnGetConvolutionMathType(convolution_, &wanted), "math type");
    for (int i = 0; i < count && !available_; ++i) {
      if (offers[i].status != CUDNN_STATUS_SUCCESS || offers[i].memory > conv_workspace_bytes) continue;
      if (wanted == CUDNN_FMA_MATH && offers[i].mathType != CUDNN_FMA_MATH) continue;
      choice = offers[i];
      bytes_ = choice.memory;
      available_ = true;
    }
  }

  cudnnTensorDescriptor_t x_ = nullptr, y_ = nullptr;
  cudnnFilterDescriptor_t W_ = nullptr;
  cudnnConvolutionDescriptor_t convolution_ = nullptr;
  cudnnConvolutionFwdAlgoPerf_t forward_{};
  cudnnConvolutionBwdDataAlgoPerf_t backward_input_{};
  cudnnConvolutionBwdFilterAlgoPerf_t backward_weights_{};
  std::size_t bytes_ = 0;
  bool available_ = false;
};

class CudnnConv final : public ConvVendor {
 public:
  explicit CudnnConv(const Exec& exec) {
    check(cudnnCreate(&handle_), "handle");
    check(cudnnSetStream(handle_, exec.cuda_stream()), "stream");
  }
  ~CudnnConv() override {
    convolutions_.clear();
    cudnnDestroy(handle_);
  }
  CudnnConv(const CudnnConv&) = delete;
  CudnnConv& operator=(const CudnnConv&) = delete;

  bool forward(Context& context, const Conv2dShape& shape, ConstMatrix<float> x, ConstMatrix<float> W,
               ConstVector<float> b, Matrix<float> y) override {
    const Convolution& convolution = find(context, {Pass::forward, index_t(x.extent(0)), shape});
    if (!convolution.available()) return false;
    convolution.forward(context, handle_, x.data(), W.data(), y.data());
    if (b.extent(0) > 0) {
      const Matrix<float> pixels(y.data(), y.size() / std::size_t(shape.filters), std::size_t(shape.filters));
      apply_epilogue<float>(context.exec(), {.bias = b.data()}, pixels);
    }
    return true;
  }
  bool backward_input(Context& context, const Conv2dShape& shape, ConstMatrix<float> dy, ConstMatrix<float> W,
                      Matrix<float> dx) override {
    const Convolution& convolution = find(context, {Pass::backward_input, index_t(dy.extent(0)), shape});
    if (convolution.available()) convolution.backward_input(context, handle_, dy.data(), W.data(), dx.data());
    return convolution.available();
  }
  bool backward_weights(Context& context, const Conv2dShape& shape, Store store, ConstMatrix<float> x,
                        ConstMatrix<float> dy, Matrix<float> dW) override {
    const Convolution& convolution = find(context, {Pass::backward_weights, index_t(x.extent(0)), shape});
    if (convolution.available()) convolution.backward_weights(context, handle_, store, x.data(), dy.data(), dW.data());
    return convolution.available();
  }

 private:
  const Convolution& find(const Context& context, const ConvProblem& problem) {
    const auto at = convolutions_.find(problem);
    return (at == convolutions_.end() ? convolutions_.try_emplace(problem, handle_, problem, context.tf32()).first : at)
        ->second;
  }

  cudnnHandle_t handle_ = nullptr;
  std::map<ConvProblem, Convolution> convolutions_;
};

}  // namespace

std::unique_ptr<ConvVendor> make_conv_vendor(const Exec& exec) { return std::make_unique<CudnnConv>(exec); }

std::string conv_vendor_name() {
  const std::size_t version = cudnnGetVersion();  // 91900
  return "cuDNN " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace partita::kernels::backend
