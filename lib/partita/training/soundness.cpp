// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/soundness.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include <partita/nn/norm_cells.hpp>
#include <partita/parallel/replicas.hpp>

namespace partita::training {
namespace {

template <class Scalar>
Scalar with_another_bit(Scalar value) {
  unsigned char bytes[sizeof(Scalar)];
  std::memcpy(bytes, &value, sizeof bytes);
  bytes[0] = static_cast<unsigned char>(bytes[0] ^ 1U);  // little-endian: the least significant one
  std::memcpy(&value, bytes, sizeof bytes);
  return value;
}

}  // namespace

template <class Scalar>
std::string find_unsound(const Parts<Scalar>& parts, const metrics::StepRows& rows, int bad_rank) {
  const bool trains = parts.train.mode == Mode::train && parts.update != nullptr;
  if (trains && parts.train.update.not_finite == nn::NotFinite::skip) return {};
  const bool looks = trains && parts.train.precision != Precision::fp16;
  return parts.world.on_root([&] {
    const index_t cell = looks ? parts.update->not_finite(parts.context.exec()) : -1;
    for (std::size_t s = 0; s < rows.loss.size(); ++s) {
      const bool bad_loss = !std::isfinite(rows.loss[s]), bad_gradient = cell >= 0 && !std::isfinite(rows.grad_norm[s]);
      if (!bad_loss && !bad_gradient) continue;
      std::string text = fmt::format("step {}: ", rows.first_step + static_cast<index_t>(s));
      if (bad_loss)
        text += fmt::format("the loss{} is not finite", bad_rank < 0 ? "" : fmt::format(" of rank {}", bad_rank));
      if (bad_gradient)
        text += fmt::format("{}the gradient of {} is not finite", bad_loss ? ", " : "",
                            nn::tensor_of_cell(parts.whole.table(), cell).name);
      return text;
    }
    return std::string();
  });
}

template <class Scalar>
std::string find_difference(const Parts<Scalar>& parts) {
  const nn::Model<Scalar>& model = parts.model;
  // A rank that holds nothing, a stage without weights, comes along all the same.
  const nn::ParameterTable none;
  const nn::ParameterTable& held = model.parameters().extent(0) > 0 ? model.table() : none;
  const auto over = [&](const comm::Communicator& axis) {
    std::string found = parallel::replica_difference<Scalar>(parts.world, axis, held, model.parameters());
    if (found.empty())
      found =
          parallel::replica_difference<nn::Sum<Scalar>>(parts.world, axis, model.statistics_table(), model.running());
    return found;
  };
  std::string found = over(parts.replicas);
  if (found.empty() && parts.rows != nullptr) found = over(parts.rows->ranks());
  return found;
}

template <class Scalar>
void damage_weights(const Parts<Scalar>& parts, driver::FaultKind kind) {
  const Exec& exec = parts.context.exec();
  const Vector<Scalar> weights = parts.model.parameters();
  const std::vector<Range> owned = parts.update == nullptr ? std::vector<Range>() : parts.update->owned();
  if (owned.empty() && weights.extent(0) == 0) refuse<UsageError>("fault", "this rank holds no weights", "another one");
  const Range first = owned.empty() ? Range{0, 1} : Range{owned.front().offset, 1};
  const Kokkos::View<Scalar, Memory> here(weights.extent(0) > 0 ? weights.data() + first.offset : nullptr);
  auto value = Scalar(std::numeric_limits<float>::quiet_NaN());
  if (kind == driver::FaultKind::bitflip)
    value = with_another_bit(owned.empty() ? Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), here)()
                                           : Scalar(parts.update->get(exec, nn::Kept::weights, first).front()));
  if (weights.extent(0) > 0) Kokkos::deep_copy(exec, here, value);
  if (!owned.empty()) {
    const Vector<nn::Sum<Scalar>> one("partita::training::damage_weights", 1);
    Kokkos::deep_copy(exec, one, static_cast<nn::Sum<Scalar>>(value));
    parts.update->set(exec, nn::Kept::weights, first, one);
  }
  exec.fence("partita::training::damage_weights");
}

#define PARTITA_SOUNDNESS(Scalar)                                                                  \
  template std::string find_unsound(const Parts<Scalar>&, const metrics::StepRows&, int bad_rank); \
  template std::string find_difference(const Parts<Scalar>&);                                      \
  template void damage_weights(const Parts<Scalar>&, driver::FaultKind);
PARTITA_SOUNDNESS(float)
PARTITA_SOUNDNESS(bfloat16)
PARTITA_SOUNDNESS(float16)
#undef PARTITA_SOUNDNESS

}  // namespace partita::training
