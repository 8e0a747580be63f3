// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/exchange.hpp>

#include <algorithm>
#include <utility>

#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/nn/norm_cells.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel {
namespace {

index_t total(const std::vector<Range>& ranges) {
  index_t n = 0;
  for (const Range& range : ranges) n += range.extent;
  return n;
}

}  // namespace

bool is_replicated(const nn::Parameter& parameter) {
  return std::ranges::all_of(parameter.dimensions, [](const nn::Dimension& dimension) {
    return dimension.slice.extent == dimension.slice.global;
  });
}

nn::CompleteSquares split_squares(const comm::Communicator& axis, const nn::ParameterTable& part,
                                  const nn::ParameterTable* whole,
                                  const std::function<bool(const nn::Parameter&)>& counts) {
  struct State {
    Vector<index_t> at;  // of my cells; -1: another rank's, too
    Vector<double> all;  // fast mode: of my cells
    Kokkos::View<double, Memory> sum{"partita::parallel::split_squares::sum"};
    std::unique_ptr<comm::AllreducePlan<double>> plan;
  };
  const std::vector<kernels::NormCell> cells = nn::norm_cells(part);
  std::vector<index_t> at(cells.size());
  if (whole != nullptr) {
    at = nn::cell_places(part, *whole);
  } else {
    for (std::size_t k = 0; k < at.size(); ++k) at[k] = static_cast<index_t>(k);
  }
  for (const nn::Parameter& parameter : part.parameters())
    if (!counts(parameter))
      for (std::size_t k = 0; k < cells.size(); ++k)
        if (parameter.range.offset <= cells[k].offset && cells[k].offset < parameter.range.end()) at[k] = -1;
  const auto state = std::make_shared<State>();
  state->at = Vector<index_t>("partita::parallel::split_squares::at", at.size());
  Kokkos::deep_copy(state->at, Kokkos::View<const index_t*, Kokkos::HostSpace>(at.data(), at.size()));
  const std::size_t n = whole != nullptr ? nn::norm_cells(*whole).size() : cells.size();
  state->all = Vector<double>("partita::parallel::split_squares::all", n);
  state->plan = std::make_unique<comm::AllreducePlan<double>>(axis, comm::Allreduce::automatic,
                                                              whole != nullptr ? static_cast<index_t>(n) : 1);
  const bool places = whole != nullptr;
  return [state, places](const Exec& exec, Vector<double> squares) -> ConstVector<double> {
    kernels::fill<double>(exec, 0, state->all);
    kernels::scatter<double>(exec, state->at, squares, state->all);
    if (places) {  // one rank has a number, the others zero: the sum is exact
      state->plan->run(exec, state->all);
      return state->all;
    }
    kernels::norm_total(exec, state->all, state->sum);
    const Vector<double> one(state->sum.data(), 1);
    state->plan->run(exec, one);
    return one;
  };
}

template <class Scalar>
TensorExchange<Scalar>::TensorExchange(nn::Exchange<Scalar>& inner, TensorAxis<Scalar>& axis,
                                       Vector<nn::Sum<Scalar>> gradient, std::vector<Range> partial)
    : nn::ExchangeAround<Scalar>(inner),
      axis_(axis),
      gradient_(gradient),
      sums_(make_buffer<nn::Sum<Scalar>>("partita::parallel::TensorExchange", total(partial))),
      partial_(std::move(partial)),
      plan_(axis.ranks(), axis.options().how, static_cast<index_t>(sums_.extent(0))) {}

template <class Scalar>
void TensorExchange<Scalar>::finish(const Exec& exec, nn::Observer& observer) {
  using Real = nn::Sum<Scalar>;
  nn::ExchangeAround<Scalar>::finish(exec, observer);
  if (partial_.empty()) return;
  const auto each = [&](const auto& copy) {
    index_t at = 0;
    for (const Range& range : partial_)
      copy(part(gradient_, range), part(sums_, {std::exchange(at, at + range.extent), range.extent}));
  };
  each([&](const Vector<Real>& gradient, const Vector<Real>& sum) { kernels::copy<Real>(exec, gradient, sum); });
  axis_.run(plan_, exec, sums_);
  each([&](const Vector<Real>& gradient, const Vector<Real>& sum) { kernels::copy<Real>(exec, sum, gradient); });
}

template <class Scalar>
nn::OverlapTime TensorExchange<Scalar>::take_overlap() {
  nn::OverlapTime time = nn::ExchangeAround<Scalar>::take_overlap();
  const nn::OverlapTime of_axis = axis_.take_time();
  time.exposed_s += of_axis.exposed_s;
  time.hidden_s += of_axis.hidden_s;
  return time;
}

template class TensorExchange<float>;
template class TensorExchange<double>;
template class TensorExchange<bfloat16>;
template class TensorExchange<float16>;

}  // namespace partita::parallel
