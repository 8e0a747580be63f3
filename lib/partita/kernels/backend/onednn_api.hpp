// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

// What differs between oneDNN 2.6 and 3.x, and nothing else.

namespace partita::kernels::backend::onednn {

inline void append_eltwise(dnnl::post_ops& after, dnnl::algorithm algorithm, float alpha = 0.0f) {
#if DNNL_VERSION_MAJOR >= 3
  after.append_eltwise(algorithm, alpha, 0.0f);
#else
  after.append_eltwise(1.0f, algorithm, alpha, 0.0f);
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

}  // namespace partita::kernels::backend::onednn
