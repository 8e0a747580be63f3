// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/vocabulary_loss.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel {

template <class Scalar>
VocabularyParallelLoss<Scalar>::VocabularyParallelLoss(const comm::Communicator& axis, comm::Allreduce how,
                                                       kernels::Loss loss, nn::OutputShape output,
                                                       const Slice& vocabulary, index_t blocks)
    : axis_(axis), how_(how), output_(output), vocabulary_(vocabulary), blocks_(blocks) {
  if (loss != kernels::Loss::cross_entropy)
    refuse<UsageError>("VocabularyParallelLoss", fmt::format("the loss is {}", name(loss)),
                       "cross_entropy, where ranks share the classes");
  if (vocabulary.global != output.classes || vocabulary.offset < 0 || vocabulary.extent < 0 ||
      vocabulary.end() > vocabulary.global || blocks < 1)
    refuse<ShapeError>("VocabularyParallelLoss",
                       fmt::format("classes {} to {} of {}, in {} blocks", vocabulary.offset, vocabulary.end(),
                                   vocabulary.global, blocks),
                       fmt::format("some of {}, in at least 1", output.classes));
  nodes_ = kernels::loss_nodes(vocabulary, blocks == 1 ? whole(1) : partition(blocks, axis.size(), axis.rank()));
}

template <class Scalar>
typename VocabularyParallelLoss<Scalar>::Plans VocabularyParallelLoss<Scalar>::make_plans(index_t n) const {
  const auto numbers = [&](const char* label) { return make_buffer<double>(label, n); };
  Plans plans{
      .top = numbers("partita::parallel::VocabularyParallelLoss::top"),
      .target = numbers("partita::parallel::VocabularyParallelLoss::target"),
      .sum = {},
      .ahead = numbers("partita::parallel::VocabularyParallelLoss::ahead"),
      .nodes = Matrix<double>(Kokkos::view_alloc(Kokkos::WithoutInitializing,
                                                 std::string("partita::parallel::VocabularyParallelLoss::nodes")),
                              nodes_.size(), n),
      .max = nullptr,
      .add = nullptr,
      .tree = nullptr};
  if (axis_.size() > 1) {
    plans.max = std::make_unique<comm::AllreducePlan<double>>(axis_, how_, n, comm::RingOptions{}, comm::Op::max);
    plans.add = std::make_unique<comm::AllreducePlan<double>>(axis_, how_, n);
  }
  if (plans.max && blocks_ > 1) {
    plans.sum = numbers("partita::parallel::VocabularyParallelLoss::sum");
    plans.tree = std::make_unique<comm::TreeAllreducePlan<double>>(axis_, how_, comm::TreeNodes{n, blocks_});
  } else {
    plans.sum = nn::flat(plans.nodes);  // one node, which the other ranks' are added to
  }
  return plans;
}

template <class Scalar>
const typename VocabularyParallelLoss<Scalar>::Plans& VocabularyParallelLoss<Scalar>::plans(index_t n) const {
  const auto found = kept_.find(n);
  return found != kept_.end() ? found->second : kept_.emplace(n, make_plans(n)).first->second;
}

template <class Scalar>
template <class Matrix>
Matrix VocabularyParallelLoss<Scalar>::rows(const char* name, const Matrix& scores, index_t labels) const {
  const auto n = static_cast<std::size_t>(labels), classes = static_cast<std::size_t>(vocabulary_.extent);
  const auto of_a_row = static_cast<std::size_t>(output_.labels);
  if (scores.extent(0) * of_a_row != n || scores.extent(1) != of_a_row * classes)
    refuse<ShapeError>(
        "VocabularyParallelLoss",
        fmt::format("{} is ({}, {}), label has {} elements", name, scores.extent(0), scores.extent(1), n),
        fmt::format("{} for each row, and {} classes for each of them", of_a_row, classes));
  return {scores.data(), n, classes};
}

template <class Scalar>
const typename VocabularyParallelLoss<Scalar>::Plans& VocabularyParallelLoss<Scalar>::reduce(
    const Exec& exec, ConstMatrix<Scalar> z, ConstVector<std::int32_t> label, Matrix<Scalar> dz) const {
  const Plans& of = plans(static_cast<index_t>(label.extent(0)));
  kernels::loss_max<Scalar>(exec, vocabulary_, z, label, of.top, of.target);
  if (of.max) {
    of.max->run(exec, of.top);
    of.add->run(exec, of.target);
  }
  kernels::loss_sums<Scalar>(exec, nodes_, z, label, of.top, of.nodes, dz);
  if (of.tree)
    of.tree->run(exec, nn::flat(of.nodes), of.sum);
  else if (of.add)
    of.add->run(exec, of.sum);
  return of;
}

template <class Scalar>
void VocabularyParallelLoss<Scalar>::run(kernels::Context& context, ConstMatrix<Scalar> y,
                                         ConstVector<std::int32_t> label, double scale,
                                         Kokkos::View<const double, Memory> factor, Matrix<Scalar> dy,
                                         Kokkos::View<double, Memory> sum) const {
  const auto n = static_cast<index_t>(label.extent(0));
  const ConstMatrix<Scalar> z = rows("y", y, n);
  const Matrix<Scalar> dz = rows("dy", dy, n);
  const Plans& of = reduce(context.exec(), z, label, dz);
  kernels::loss_finish<Scalar>(context, vocabulary_, z, label, of.top, of.target, of.sum, scale, dz, sum, factor);
}

template <class Scalar>
void VocabularyParallelLoss<Scalar>::evaluate(kernels::Context& context, ConstMatrix<Scalar> y,
                                              ConstVector<std::int32_t> label, Kokkos::View<double, Memory> sum,
                                              Kokkos::View<index_t, Memory> correct) const {
  const ConstMatrix<Scalar> z = rows("y", y, static_cast<index_t>(label.extent(0)));
  const Plans& of = reduce(context.exec(), z, label, {});
  kernels::loss_ahead<Scalar>(context.exec(), vocabulary_, z, label, of.top, of.ahead);
  if (of.add) of.add->run(context.exec(), of.ahead);
  kernels::loss_finish(context, output_.classes, label, of.top, of.target, of.sum, of.ahead, sum, correct);
}

template class VocabularyParallelLoss<float>;
template class VocabularyParallelLoss<double>;
template class VocabularyParallelLoss<bfloat16>;
template class VocabularyParallelLoss<float16>;

}  // namespace partita::parallel
