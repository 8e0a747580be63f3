// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>

#include <partita/core/types.hpp>
#include <partita/parallel/flights.hpp>
#include <partita/parallel/spatial/row_slices.hpp>

namespace partita::parallel {

/// The halo exchange of one unit: rows of an image that neighbours lack are packed and sent, both directions at once,
/// and what arrives is put beside the rows that are here where a window of both is read.
///
/// An image of B is rows of `row` numbers; those that arrive lie neighbour by neighbour, (B, rows from above), then (B,
/// rows from below).
/// Traffic  operation "halo", on the axis of `ranks`: BordersPlan, closed form halo_bytes.
template <class T>
class Halo {
 public:
  /// ranks must outlive this. Not collective, but all ranks of the axis make the same ones in one order.
  Halo(const comm::Communicator& ranks, const RowHalo& rows, index_t row) : ranks_(ranks), halo_(rows), row_(row) {}

  const RowHalo& rows() const { return halo_; }
  /// Numbers that leave and that arrive with B images.
  index_t leaving(index_t B) const { return B * row_ * (halo_.rows.to_left + halo_.rows.to_right); }
  index_t arriving(index_t B) const { return B * row_ * (halo_.rows.from_left + halo_.rows.from_right); }

  /// From the rows that are here, own (B, rows). `leaving` and `arriving` must stay until the flight has ended; a rank
  /// that neither sends nor receives does nothing. A plan is made at the first call with B images.
  /// Runs     packs on exec, fences it. Collective over neighbours; `flights` calls it `key`.
  void start(const Exec& exec, Flights& flights, int key, ConstMatrix<T> own, Vector<T> leaving, Vector<T> arriving);
  /// window (B, rows) = `rows` of the image: of those that are here and those that arrived. Enqueued.
  void assemble(const Exec& exec, Slice rows, ConstMatrix<T> own, ConstVector<T> arrived, Matrix<T> window) const;

 private:
  comm::Borders elements(index_t B) const;

  const comm::Communicator& ranks_;
  RowHalo halo_;
  index_t row_;
  std::map<index_t, std::unique_ptr<comm::BordersPlan<T>>> plans_;  // by B
};

/// The first n numbers of a buffer, and its first B images of so many numbers.
template <class T>
Vector<T> first_of(const Vector<T>& buffer, index_t n) {
  return {buffer.data(), static_cast<std::size_t>(n)};
}
template <class T>
Matrix<T> images_in(const Vector<T>& buffer, std::size_t B, index_t numbers) {
  return {buffer.data(), B, static_cast<std::size_t>(numbers)};
}

/// Rows of images that have `first` as their first row, as a matrix whose rows are padded.
template <class T>
Matrix<T> image_rows(Matrix<T> images, index_t first, Slice rows, index_t row) {
  return Kokkos::subview(images, Kokkos::ALL,
                         Kokkos::pair<index_t, index_t>((rows.offset - first) * row, (rows.end() - first) * row));
}

}  // namespace partita::parallel
