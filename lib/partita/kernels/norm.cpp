// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/norm.hpp>
#include <string>

namespace partita::kernels {
namespace {

constexpr index_t chunk = 4096;  // part of the result's bits
constexpr int lanes = 32;

/// Binary tree over the lanes.
KOKKOS_FUNCTION double join(double* sum) {
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) sum[l] += sum[l + half];
  return sum[0];
}

template <class Scalar>
KOKKOS_FUNCTION double square(Scalar value) {
  const auto wide = double(value);
  return wide * wide;
}

/// One chunk on a host: the lanes are a vector's.
template <class Scalar>
struct Chunk {
  const Scalar* g;
  index_t n;
  double* partial;

  void operator()(index_t c) const {
    const index_t end = (c + 1) * chunk < n ? (c + 1) * chunk : n;
    double sum[lanes] = {};
    index_t i = c * chunk;
    for (; i + lanes <= end; i += lanes)
      for (int l = 0; l < lanes; ++l) sum[l] += square(g[i + l]);
    for (int l = 0; i + l < end; ++l) sum[l] += square(g[i + l]);
    partial[c] = join(sum);
  }
};

/// One chunk on a device: the lanes are a team's threads.
template <class Scalar>
struct TeamChunk {
  const Scalar* g;
  index_t n;
  double* partial;

  KOKKOS_FUNCTION void operator()(const Kokkos::TeamPolicy<Exec>::member_type& team) const {
    const index_t c = team.league_rank(), end = (c + 1) * chunk < n ? (c + 1) * chunk : n;
    auto* const sum = static_cast<double*>(team.team_shmem().get_shmem(lanes * sizeof(double)));
    const index_t l = team.team_rank();
    sum[l] = 0;
    for (index_t i = c * chunk + l; i < end; i += lanes) sum[l] += square(g[i]);
    team.team_barrier();
    if (l == 0) partial[c] = join(sum);
  }
};

/// One thread adds the chunks in order.
struct Total {
  index_t chunks;
  const double* partial;
  double* sum;

  KOKKOS_FUNCTION void operator()(index_t) const {
    double total = 0;
    for (index_t c = 0; c < chunks; ++c) total += partial[c];
    *sum = total;
  }
};

template <class Scalar>
struct Clip {
  double max_norm;
  const double* sum;
  Scalar* g;
  accumulate_t<Scalar> factor;

  KOKKOS_FUNCTION Clip prepare() const {
    Clip step = *this;
    step.factor = accumulate_t<Scalar>(clip_factor(max_norm, Kokkos::sqrt(*sum)));
    return step;
  }
  KOKKOS_FUNCTION bool idle() const { return factor == accumulate_t<Scalar>(1); }
  KOKKOS_FUNCTION void operator()(index_t i) const { g[i] = Scalar(accumulate_t<Scalar>(g[i]) * factor); }
};

}  // namespace

template <class Scalar>
void norm_squared(Context& context, std::type_identity_t<ConstVector<Scalar>> g, Kokkos::View<double, Memory> sum) {
  static const std::string chunk_label = "partita::kernels::norm_squared::chunk";
  static const std::string sum_label = "partita::kernels::norm_squared::sum";
  const auto n = index_t(g.extent(0));
  const index_t chunks = (n + chunk - 1) / chunk;
  auto* const partial = static_cast<double*>(context.scratch(std::size_t(chunks) * sizeof(double)));
  if constexpr (backend::runs_on_host) {
    Kokkos::parallel_for(chunk_label, backend::range_policy(context.exec(), chunks),
                         Chunk<Scalar>{g.data(), n, partial});
  } else if (chunks > 0) {
    Kokkos::TeamPolicy<Exec> teams(context.exec(), int(chunks), lanes);
    Kokkos::parallel_for(chunk_label, teams.set_scratch_size(0, Kokkos::PerTeam(lanes * sizeof(double) + 64)),
                         TeamChunk<Scalar>{g.data(), n, partial});
  }
  Kokkos::parallel_for(sum_label, backend::range_policy(context.exec(), 1), Total{chunks, partial, sum.data()});
}

template <class Scalar>
void clip_by_norm(const Exec& exec, double max_norm, Kokkos::View<const double, Memory> sum, Vector<Scalar> g) {
  static const std::string label = "partita::kernels::clip_by_norm";
  backend::for_range(exec, label, index_t(g.extent(0)), Clip<Scalar>{max_norm, sum.data(), g.data(), 0});
}

#define PARTITA_INSTANTIATE(Scalar)                                                                \
  template void norm_squared<Scalar>(Context&, ConstVector<Scalar>, Kokkos::View<double, Memory>); \
  template void clip_by_norm<Scalar>(const Exec&, double, Kokkos::View<const double, Memory>, Vector<Scalar>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
