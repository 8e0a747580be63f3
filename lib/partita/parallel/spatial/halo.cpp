// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/halo.hpp>

#include <cstdint>

#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::parallel {
namespace {

Slice common(Slice a, Slice b) {
  const index_t begin = std::max(a.offset, b.offset);
  return {begin, std::max<index_t>(std::min(a.end(), b.end()) - begin, 0), a.global};
}

}  // namespace

template <class T>
comm::Borders Halo<T>::elements(index_t B) const {
  const comm::Borders& rows = halo_.rows;
  const index_t each = B * row_;
  return {rows.to_left * each, rows.to_right * each, rows.from_left * each, rows.from_right * each};
}

template <class T>
void Halo<T>::start(const Exec& exec, Flights& flights, int key, ConstMatrix<T> own, Vector<T> leaving,
                    Vector<T> arriving) {
  const auto B = static_cast<index_t>(own.extent(0));
  auto found = plans_.find(B);
  if (found == plans_.end())
    found = plans_.emplace(B, std::make_unique<comm::BordersPlan<T>>(ranks_, elements(B))).first;
  if (!halo_.any()) return;
  const Slice mine = halo_.own;
  T* to = leaving.data();
  const auto pack = [&](index_t first, index_t rows) {
    if (rows == 0) return;
    const Matrix<T> packed(to, own.extent(0), static_cast<std::size_t>(rows * row_));
    kernels::copy<T>(exec, image_rows<const T>(own, mine.offset, {first, rows, mine.global}, row_), packed);
    to += packed.size();
  };
  pack(mine.offset, halo_.rows.to_left);
  pack(mine.end() - halo_.rows.to_right, halo_.rows.to_right);
  flights.launch(key, *found->second, [&] { found->second->start(exec, ConstVector<T>(leaving), arriving); });
}

template <class T>
void Halo<T>::assemble(const Exec& exec, Slice rows, ConstMatrix<T> own, ConstVector<T> arrived,
                       Matrix<T> window) const {
  const Slice mine = halo_.own;
  const auto put = [&](Slice from, ConstMatrix<T> images) {
    const Slice part = common(rows, from);
    if (part.extent == 0) return;
    kernels::copy<T>(exec, image_rows<const T>(images, from.offset, part, row_),
                     image_rows<T>(window, rows.offset, part, row_));
  };
  const auto images = [&](index_t offset, index_t count) {
    return ConstMatrix<T>(arrived.data() + offset, own.extent(0), static_cast<std::size_t>(count * row_));
  };
  const index_t above = halo_.rows.from_left, below = halo_.rows.from_right;
  put({mine.offset - above, above, mine.global}, images(0, above));
  put(mine, own);
  put({mine.end(), below, mine.global}, images(static_cast<index_t>(own.extent(0)) * above * row_, below));
}

template class Halo<float>;
template class Halo<double>;
template class Halo<bfloat16>;
template class Halo<float16>;
template class Halo<std::int32_t>;

}  // namespace partita::parallel
