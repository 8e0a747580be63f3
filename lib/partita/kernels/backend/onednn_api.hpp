// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include <oneapi/dnnl/dnnl.hpp>

// What differs between oneDNN 2.6 and 3.x, and what both of our files ask of it.

namespace partita::kernels::backend::onednn {

/// Throws   dnnl::error: the C interface returns a status.
inline void check(dnnl_status_t status, const char* what) { dnnl::error::wrap_c_api(status, what); }

/// "oneDNN 2.6.3".
inline std::string library_name() {
  const dnnl_version_t& version = *dnnl_version();
  return "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch);
}

inline void append_eltwise(dnnl::post_ops& after, dnnl::algorithm algorithm, float alpha = 0.0f) {
#if DNNL_VERSION_MAJOR >= 3
  after.append_eltwise(algorithm, alpha, 0.0f);
#else
  after.append_eltwise(1.0f, algorithm, alpha, 0.0f);
#endif
}

/// Products are scaled before anything else happens to them; first of `after`.
inline void append_scale(dnnl::primitive_attr& attributes, dnnl::post_ops& after, float alpha) {
#if DNNL_VERSION_MAJOR >= 3
  (void)attributes;
  if (alpha != 1.0f) after.append_eltwise(dnnl::algorithm::eltwise_linear, alpha, 0.0f);
#else
  (void)after;
  if (alpha != 1.0f) attributes.set_output_scales(0, {alpha});
#endif
}

/// `bias` may be an empty descriptor.
inline dnnl::matmul::primitive_desc matmul(const dnnl::engine& engine, const dnnl::memory::desc& src,
                                           const dnnl::memory::desc& weights, const dnnl::memory::desc& bias,
                                           const dnnl::memory::desc& dst, const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, src, weights, bias, dst, attributes};
#else
  return {dnnl::matmul::desc(src, weights, bias, dst), attributes, engine};
#endif
}

/// A convolution's shape and where its images lie; weights in a layout of oneDNN's choice.
struct Convolution {
  dnnl::memory::desc src, weights, bias, dst;  // bias may be an empty descriptor
  dnnl::memory::dims strides, before, after;   // of zeros: rows, columns
};

/// The first implementation whose name starts with `preferred`, or else the first of all.
inline dnnl::convolution_forward::primitive_desc convolution_forward(const dnnl::engine& engine, const Convolution& c,
                                                                     const dnnl::primitive_attr& attributes,
                                                                     std::string_view preferred) {
  using Description = dnnl::convolution_forward::primitive_desc;
  constexpr auto kind = dnnl::prop_kind::forward_training;
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  const auto make = [&] {
    return Description(engine, kind, algorithm, c.src, c.weights, c.bias, c.dst, c.strides, c.before, c.after,
                       attributes);
  };
#else
  // Lives as long as next_impl is called: the description keeps a pointer to it.
  const dnnl::convolution_forward::desc operation(kind, algorithm, c.src, c.weights, c.bias, c.dst, c.strides, c.before,
                                                  c.after);
  const auto make = [&] { return Description(operation, attributes, engine); };
#endif
  Description other = make();
  while (!std::string_view(other.impl_info_str()).starts_with(preferred))
    if (!other.next_impl()) return make();
  return other;
}

inline dnnl::convolution_backward_data::primitive_desc convolution_backward_data(
    const dnnl::engine& engine, const Convolution& c, const dnnl::primitive_attr& attributes,
    const dnnl::convolution_forward::primitive_desc& hint) {
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, algorithm, c.src, c.weights, c.dst, c.strides, c.before, c.after, hint, attributes};
#else
  return {{algorithm, c.src, c.weights, c.dst, c.strides, c.before, c.after}, attributes, engine, hint};
#endif
}

/// The first implementation that `refuse(name)` does not refuse; none where it refuses all: see is_empty.
template <class Refuse>
dnnl::convolution_backward_weights::primitive_desc convolution_backward_weights(
    const dnnl::engine& engine, const Convolution& c, const dnnl::primitive_attr& attributes,
    const dnnl::convolution_forward::primitive_desc& hint, const Refuse& refuse) {
  using Description = dnnl::convolution_backward_weights::primitive_desc;
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  Description chosen(engine, algorithm, c.src, c.weights, c.dst, c.strides, c.before, c.after, hint, attributes);
#else
  // Lives as long as next_impl is called: the description keeps a pointer to it.
  const dnnl::convolution_backward_weights::desc operation(algorithm, c.src, c.weights, c.dst, c.strides, c.before,
                                                           c.after);
  Description chosen(operation, attributes, engine, hint);
#endif
  while (refuse(std::string_view(chosen.impl_info_str())))
    if (!chosen.next_impl()) return {};
  return chosen;
}

}  // namespace partita::kernels::backend::onednn
