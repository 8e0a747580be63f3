// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/dropout.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/dropout.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {

template <class Scalar>
Dropout<Scalar>::Dropout(std::string name, Slice columns, double rate)
    : Unit<Scalar>(std::move(name), columns.extent, columns.extent), columns_(columns), rate_(rate) {
  if (!(rate >= 0 && rate < 1)) refuse<UsageError>(this->name(), fmt::format("a rate of {}", rate), "one in [0, 1)");
}

template <class Scalar>
void Dropout<Scalar>::apply(const Call<Scalar>& call, ConstMatrix<Scalar> from, Matrix<Scalar> to) const {
  const Exec& exec = call.context.exec();
  if (!call.training || rate_ == 0) return kernels::copy<Scalar>(exec, flat(from), flat(to));
  const auto B = static_cast<index_t>(to.extent(0));
  const kernels::DropoutOptions options{.rate = rate_,
                                        .seed = call.seed,
                                        .layer = name_key(this->name()),
                                        .step = call.step,
                                        .rows = {call.rows.offset, B, call.rows.global},
                                        .columns = columns_};
  kernels::dropout<Scalar>(exec, options, from, to);
}

template class Dropout<float>;
template class Dropout<double>;
template class Dropout<bfloat16>;
template class Dropout<float16>;

}  // namespace partita::nn
