// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/norm.hpp>

#include <algorithm>
#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {
namespace {

constexpr int cell_lanes = 32, total_lanes = 512;  // part of the result's bits

/// Binary tree over the lanes.
template <int lanes>
KOKKOS_FUNCTION double join(double* sum) {
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) sum[l] += sum[l + half];
  return sum[0];
}

template <class Real>
KOKKOS_FUNCTION double square(Real value) {
  const auto wide = double(value);
  return wide * wide;
}

KOKKOS_FUNCTION bool lies_side_by_side(const NormCell& cell) { return cell.rows <= 1 || cell.stride == cell.columns; }

/// A cell on a host: the lanes are a vector's.
template <class Real>
struct CellOnHost {
  const NormCell* cells;
  const Real* g;
  double* sums;

  /// The first of the n elements belongs to lane 0.
  static void add(const Real* first, index_t n, double* sum) {
    index_t i = 0;
    for (; i + cell_lanes <= n; i += cell_lanes)
      for (int l = 0; l < cell_lanes; ++l) sum[l] += square(first[i + l]);
    for (int l = 0; i + l < n; ++l) sum[l] += square(first[i + l]);
  }
  /// Rows that lie apart are brought together first, some at a time.
  static void add_rows(const NormCell& cell, const Real* first, double* sum) {
    constexpr index_t room = 32 * cell_lanes;
    Real together[room];
    index_t held = 0;
    for (index_t r = 0; r < cell.rows; ++r)
      for (index_t c = 0; c < cell.columns;) {
        const index_t some = cell.columns - c < room - held ? cell.columns - c : room - held;
        std::copy_n(first + r * cell.stride + c, some, together + held);
        c += some, held += some;
        if (held == room) add(together, room, sum), held = 0;
      }
    add(together, held, sum);
  }
  void operator()(index_t k) const {
    const NormCell cell = cells[k];
    double sum[cell_lanes] = {};
    if (lies_side_by_side(cell))
      add(g + cell.offset, cell.rows * cell.columns, sum);
    else if (cell.columns % cell_lanes == 0)  // a row begins at lane 0
      for (index_t r = 0; r < cell.rows; ++r) add(g + cell.offset + r * cell.stride, cell.columns, sum);
    else
      add_rows(cell, g + cell.offset, sum);
    sums[k] = join<cell_lanes>(sum);
  }
};

/// Memory that a team's lanes share.
template <int lanes>
KOKKOS_FUNCTION double* lanes_of(const Kokkos::TeamPolicy<Exec>::member_type& team) {
  return static_cast<double*>(team.team_shmem().get_shmem(lanes * sizeof(double)));
}

template <int lanes>
Kokkos::TeamPolicy<Exec> teams_of_lanes(const Exec& exec, index_t teams) {
  return Kokkos::TeamPolicy<Exec>(exec, int(teams), lanes)
      .set_scratch_size(0, Kokkos::PerTeam(lanes * sizeof(double) + 64));
}

/// A cell on a device: the lanes are a team's threads.
template <class Real>
struct CellOnDevice {
  const NormCell* cells;
  const Real* g;
  double* sums;

  KOKKOS_FUNCTION void operator()(const Kokkos::TeamPolicy<Exec>::member_type& team) const {
    const NormCell cell = cells[team.league_rank()];
    double* const sum = lanes_of<cell_lanes>(team);
    const index_t l = team.team_rank(), n = cell.rows * cell.columns;
    const Real* const first = g + cell.offset;
    double mine = 0;
    if (lies_side_by_side(cell)) {
      for (index_t e = l; e < n; e += cell_lanes) mine += square(first[e]);
    } else {
      for (index_t e = l; e < n; e += cell_lanes)
        mine += square(first[e / cell.columns * cell.stride + e % cell.columns]);
    }
    sum[l] = mine;
    team.team_barrier();
    if (l == 0) sums[team.league_rank()] = join<cell_lanes>(sum);
  }
};

template <int lanes>
struct TotalOnHost {
  index_t n;
  const double* sums;
  double* total;

  void operator()(index_t) const {
    double sum[lanes] = {};
    for (index_t k = 0; k < n; k += lanes) {
      const index_t some = n - k < lanes ? n - k : lanes;
      for (index_t l = 0; l < some; ++l) sum[l] += sums[k + l];
    }
    *total = join<lanes>(sum);
  }
};

template <int lanes>
struct TotalOnDevice {
  index_t n;
  const double* sums;
  double* total;

  KOKKOS_FUNCTION void operator()(const Kokkos::TeamPolicy<Exec>::member_type& team) const {
    double* const sum = lanes_of<lanes>(team);
    const int l = team.team_rank();
    double mine = 0;
    for (index_t k = l; k < n; k += lanes) mine += sums[k];
    sum[l] = mine;
    for (int half = lanes / 2; half > 0; half /= 2) {
      team.team_barrier();
      if (l < half) sum[l] += sum[l + half];
    }
    if (l == 0) *total = sum[0];
  }
};

template <class Real>
struct Clip {
  double max_norm;
  const double* sum;
  Real* g;
  Real factor;

  KOKKOS_FUNCTION Clip prepare() const {
    Clip step = *this;
    step.factor = Real(clip_factor(max_norm, Kokkos::sqrt(*sum)));
    return step;
  }
  KOKKOS_FUNCTION bool idle() const { return factor == Real(1); }
  KOKKOS_FUNCTION void operator()(index_t i) const { g[i] *= factor; }
};

}  // namespace

std::vector<NormCell> norm_cells(Range range) {
  std::vector<NormCell> cells;
  for (index_t at = range.offset; at < range.end(); at += norm_cell_limit) {
    const index_t n = std::min(norm_cell_limit, range.end() - at);
    cells.push_back({at, 1, n, n});
  }
  return cells;
}

template <class Real>
void norm_squared(Context& context, NormCells cells, std::type_identity_t<ConstVector<Real>> g, Vector<double> sums) {
  static const std::string label = "partita::kernels::norm_squared";
  backend::require_length("norm_squared", "sums", sums.extent(0), "cells", cells.extent(0));
  const auto K = index_t(cells.extent(0));
  if constexpr (backend::runs_on_host)
    Kokkos::parallel_for(label, backend::range_policy(context.exec(), K),
                         CellOnHost<Real>{cells.data(), g.data(), sums.data()});
  else if (K > 0)
    Kokkos::parallel_for(label, teams_of_lanes<cell_lanes>(context.exec(), K),
                         CellOnDevice<Real>{cells.data(), g.data(), sums.data()});
}

void norm_total(const Exec& exec, ConstVector<double> sums, Kokkos::View<double, Memory> sum) {
  static const std::string label = "partita::kernels::norm_total";
  const auto n = index_t(sums.extent(0));
  if constexpr (backend::runs_on_host)
    Kokkos::parallel_for(label, backend::range_policy(exec, 1), TotalOnHost<total_lanes>{n, sums.data(), sum.data()});
  else
    Kokkos::parallel_for(label, teams_of_lanes<total_lanes>(exec, 1),
                         TotalOnDevice<total_lanes>{n, sums.data(), sum.data()});
}

void first_not_finite(const Exec& exec, Kokkos::View<const double, Memory> sum, ConstVector<double> sums,
                      Kokkos::View<index_t, Memory> first) {
  static const std::string label = "partita::kernels::first_not_finite";
  const double *const total = sum.data(), *const all = sums.data();
  index_t* const found = first.data();
  const auto n = index_t(sums.extent(0));
  Kokkos::parallel_for(
      label, backend::range_policy(exec, 1), KOKKOS_LAMBDA(index_t) {
        if (Kokkos::isfinite(*total) || *found >= 0) return;
        for (index_t k = 0; k < n && *found < 0; ++k)
          if (!Kokkos::isfinite(all[k])) *found = k;
      });
}

template <class Real>
void clip_by_norm(const Exec& exec, double max_norm, Kokkos::View<const double, Memory> sum, Vector<Real> g) {
  static const std::string label = "partita::kernels::clip_by_norm";
  backend::for_range(exec, label, index_t(g.extent(0)), Clip<Real>{max_norm, sum.data(), g.data(), 0});
}

#define PARTITA_INSTANTIATE(Real)                                                           \
  template void norm_squared<Real>(Context&, NormCells, ConstVector<Real>, Vector<double>); \
  template void clip_by_norm<Real>(const Exec&, double, Kokkos::View<const double, Memory>, Vector<Real>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
