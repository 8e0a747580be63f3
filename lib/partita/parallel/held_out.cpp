// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <partita/core/partition.hpp>
#include <partita/parallel/held_out.hpp>
#include <vector>

namespace partita::parallel {
namespace {

struct BlockSum {
  double loss;
  index_t correct;
};

}  // namespace

template <class Scalar>
HeldOutResult evaluate_held_out(
    const nn::Model<Scalar>& model, kernels::Context& context, const comm::Communicator& data, kernels::Loss loss,
    index_t samples, index_t rows,
    const std::function<void(index_t first, Matrix<Scalar> x, Vector<std::int32_t> label)>& fill) {
  const Matrix<Scalar> x("partita::parallel::evaluate_held_out::x", rows, model.inputs());
  const Vector<std::int32_t> label("partita::parallel::evaluate_held_out::label", rows);
  const Kokkos::View<double, Memory> loss_sum("partita::parallel::evaluate_held_out::loss");
  const Kokkos::View<index_t, Memory> correct("partita::parallel::evaluate_held_out::correct");
  nn::Observer observer;

  const Slice blocks = partition((samples + rows - 1) / rows, data.size(), data.rank());
  std::vector<BlockSum> mine;
  for (index_t block = blocks.offset; block < blocks.offset + blocks.extent; ++block) {
    const index_t first = block * rows;
    const auto B = static_cast<std::size_t>(std::min(rows, samples - first));
    const Matrix<Scalar> block_x(x.data(), B, x.extent(1));
    const Vector<std::int32_t> block_label(label.data(), B);
    fill(first, block_x, block_label);
    const ConstMatrix<Scalar> scores = model.forward(model.inference(context), 0, block_x, observer);
    kernels::loss_forward<Scalar>(context, loss, scores, block_label, loss_sum, correct);
    BlockSum sum{};
    Kokkos::deep_copy(context.exec(), Kokkos::View<double, Kokkos::HostSpace>(&sum.loss), loss_sum);
    Kokkos::deep_copy(context.exec(), Kokkos::View<index_t, Kokkos::HostSpace>(&sum.correct), correct);
    context.exec().fence("partita::parallel::evaluate_held_out: the sums are on the host");
    mine.push_back(sum);
  }

  BlockSum total{};
  for (const BlockSum& sum : data.allgather(std::span<const BlockSum>(mine))) {
    total.loss += sum.loss;
    total.correct += sum.correct;
  }
  const auto count = static_cast<double>(samples);
  return {total.loss / count, static_cast<double>(total.correct) / count};
}

template HeldOutResult evaluate_held_out(const nn::Model<float>&, kernels::Context&, const comm::Communicator&,
                                         kernels::Loss, index_t, index_t,
                                         const std::function<void(index_t, Matrix<float>, Vector<std::int32_t>)>&);
template HeldOutResult evaluate_held_out(const nn::Model<double>&, kernels::Context&, const comm::Communicator&,
                                         kernels::Loss, index_t, index_t,
                                         const std::function<void(index_t, Matrix<double>, Vector<std::int32_t>)>&);

}  // namespace partita::parallel
