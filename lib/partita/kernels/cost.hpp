// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Closed-form work of every kernel, by family.

#include <partita/kernels/cost/dense.hpp>
#include <partita/kernels/cost/elementwise.hpp>
#include <partita/kernels/cost/image.hpp>
#include <partita/kernels/cost/sequence.hpp>
#include <partita/kernels/cost/training.hpp>
