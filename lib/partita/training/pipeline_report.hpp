// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/training/stage_layers.hpp>
#include <partita/training/workload.hpp>

namespace partita::training {

/// PipelinePlan::tied: the table of words that head and embedding share, if they do.
std::string tied_table(const ModelOptions& model);

/// --describe: the whole model, and which rank has which of its layers.
template <class Scalar>
std::string describe(const parallel::PipelinePlan& plan, const nn::Model<Scalar>& whole);

/// Makes `work` add to the record what a pipeline did: /strategy has for each rank the buffers of messages, the time of
/// a step split into work, fill, steady idle, waiting for a peer and drain, and what closed form and replay say of
/// these; /strategy/layers the share of each stage. All that is referred to must outlive the workload.
template <class Scalar>
void attach(const PipelineMesh& mesh, const StageLayers& shared, const Parts<Scalar>& parts, driver::Workload& work);

}  // namespace partita::training
