// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Plain loops for every kernel, by family: the executable specification.

#include <partita/kernels/reference/dense.hpp>
#include <partita/kernels/reference/elementwise.hpp>
#include <partita/kernels/reference/image.hpp>
#include <partita/kernels/reference/image_norm.hpp>
#include <partita/kernels/reference/sequence.hpp>
#include <partita/kernels/reference/training.hpp>
