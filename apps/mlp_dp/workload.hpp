// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/driver/workload.hpp>
#include <partita/nn/model.hpp>
#include <partita/parallel/data_parallel.hpp>

#include "config.hpp"
#include "dataset.hpp"

namespace partita::mlp_dp {

inline constexpr index_t evaluation_rows = 256;  // held-out samples that go through the model together

/// What the loop of the driver calls. The arguments must outlive the workload.
driver::Workload make_workload(const Config& config, const Dataset& data, const nn::Model<float>& model,
                               kernels::Context& context, const comm::Communicator& axis,
                               parallel::DataParallel<float>& replica);

}  // namespace partita::mlp_dp
