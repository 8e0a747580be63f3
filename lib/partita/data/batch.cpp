// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/batch.hpp>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/data/check.hpp>

namespace partita::data {
namespace {

void check_images(const char* function, const DeviceImages& images, index_t features) {
  if (images.pixels.extent_int(0) != images.labels.extent_int(0) ||
      images.pixels.extent(1) != static_cast<std::size_t>(features)) {
    refuse<ShapeError>(function,
                       "images are " + detail::extents(images.pixels.extent(0), images.pixels.extent(1)) + " with " +
                           std::to_string(images.labels.extent(0)) + " labels, x has " + std::to_string(features) +
                           " columns",
                       "images (N, F), N labels and x (B, F)");
  }
}

using detail::PixelMap;

// One team a row; pick(b) says which sample that is and may be costly, so one thread asks.
template <class Scalar, class Pick>
void gather(const Exec& exec, const char* kernel, const PixelMap map, const DeviceImages& images, const Pick pick,
            const Matrix<Scalar>& x, const Vector<std::int32_t>& label) {
  const auto pixels = images.pixels;
  const auto labels = images.labels;
  const auto target = x;
  const auto target_label = label;
  const int B = x.extent_int(0);
  const index_t F = static_cast<index_t>(x.extent(1));
  using Policy = Kokkos::TeamPolicy<Exec>;
  Kokkos::parallel_for(
      kernel, Policy(exec, B, Kokkos::AUTO), KOKKOS_LAMBDA(const typename Policy::member_type& team) {
        const index_t b = team.league_rank();
        index_t sample = 0;
        Kokkos::single(
            Kokkos::PerTeam(team),
            [=](index_t& chosen) {
              chosen = pick(b);
              target_label(b) = labels(chosen);
            },
            sample);
        Kokkos::parallel_for(Kokkos::TeamVectorRange(team, F),
                             [=](const index_t f) { target(b, f) = map.template value<Scalar>(pixels(sample, f)); });
      });
}

}  // namespace

DeviceImages upload(const ImageSet& images) {
  const Kokkos::View<std::uint8_t**, Kokkos::LayoutRight, Memory> pixels(
      Kokkos::view_alloc("partita::data::upload::pixels", Kokkos::WithoutInitializing), images.count,
      images.features());
  const Vector<std::uint8_t> labels(Kokkos::view_alloc("partita::data::upload::labels", Kokkos::WithoutInitializing),
                                    images.count);
  using HostBytes = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
  Kokkos::deep_copy(pixels, Kokkos::View<const std::uint8_t**, Kokkos::LayoutRight, Kokkos::HostSpace, HostBytes>(
                                images.pixels.data(), images.count, images.features()));
  Kokkos::deep_copy(labels, Kokkos::View<const std::uint8_t*, Kokkos::LayoutRight, Kokkos::HostSpace, HostBytes>(
                                images.labels.data(), images.count));
  return {pixels, labels};
}

template <class Scalar>
void gather_batch(const Exec& exec, const Normalisation& normalisation, const DeviceImages& images,
                  const Sampler& sampler, index_t step, Slice rows, const Matrix<Scalar>& x,
                  const Vector<std::int32_t>& label) {
  detail::check_rows("gather_batch", sampler, rows, x.extent(0), label.extent(0));
  check_images("gather_batch", images, static_cast<index_t>(x.extent(1)));
  if (sampler.samples() != static_cast<index_t>(images.pixels.extent(0))) {
    refuse<ShapeError>("gather_batch",
                       "the sampler draws from " + std::to_string(sampler.samples()) + " samples, images holds " +
                           std::to_string(images.pixels.extent(0)),
                       "the same number");
  }
  if (rows.extent == 0) return;
  gather(exec, "partita::data::gather_batch", PixelMap(normalisation), images,
         detail::PickFromSampler{sampler, step, rows.offset}, x, label);
}

template <class Scalar>
void gather_rows(const Exec& exec, const Normalisation& normalisation, const DeviceImages& images, index_t first,
                 const Matrix<Scalar>& x, const Vector<std::int32_t>& label) {
  const auto B = static_cast<index_t>(x.extent(0));
  check_images("gather_rows", images, static_cast<index_t>(x.extent(1)));
  detail::check_labels("gather_rows", x.extent(0), label.extent(0));
  if (first < 0 || first + B > static_cast<index_t>(images.pixels.extent(0))) {
    refuse<ShapeError>("gather_rows", "samples are [" + std::to_string(first) + ", " + std::to_string(first + B) + ")",
                       "a part of the " + std::to_string(images.pixels.extent(0)) + " that there are");
  }
  if (B == 0) return;
  gather(exec, "partita::data::gather_rows", PixelMap(normalisation), images, detail::PickInOrder{first}, x, label);
}

template <class Scalar>
void gather_samples(const Exec& exec, const Normalisation& normalisation, const DeviceImages& images,
                    const ConstVector<index_t>& samples, const Matrix<Scalar>& x, const Vector<std::int32_t>& label) {
  detail::check_list("gather_samples", samples.extent(0), x.extent(0), label.extent(0));
  check_images("gather_samples", images, static_cast<index_t>(x.extent(1)));
  if (samples.extent(0) == 0) return;
  gather(exec, "partita::data::gather_samples", PixelMap(normalisation), images, detail::PickListed{samples}, x, label);
}

#define PARTITA_INSTANTIATE(Scalar)                                                                                  \
  template void gather_batch(const Exec&, const Normalisation&, const DeviceImages&, const Sampler&, index_t, Slice, \
                             const Matrix<Scalar>&, const Vector<std::int32_t>&);                                    \
  template void gather_rows(const Exec&, const Normalisation&, const DeviceImages&, index_t, const Matrix<Scalar>&,  \
                            const Vector<std::int32_t>&);                                                            \
  template void gather_samples(const Exec&, const Normalisation&, const DeviceImages&, const ConstVector<index_t>&,  \
                               const Matrix<Scalar>&, const Vector<std::int32_t>&);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::data
