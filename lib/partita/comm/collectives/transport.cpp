// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/transport.hpp>

#include <utility>

#include <partita/core/float16.hpp>

namespace partita::comm {

template <class S>
MpiTransport<S>::MpiTransport(Post post, Block block, std::size_t most_requests, index_t payload_bytes,
                              const Work& work)
    : post_(std::move(post)), block_(std::move(block)), payload_bytes_(payload_bytes), work_(work) {
  requests_.reserve(most_requests);
}

template <class S>
void MpiTransport<S>::count(TrafficEntry* traffic) const {
  if (traffic == nullptr) return;
  ++traffic->messages;
  traffic->sent_bytes += payload_bytes_;
}

template <class S>
void MpiTransport<S>::start(const Exec&, const S* input, S* output, TrafficEntry* traffic) {
  requests_.clear();
  post_(input, output, requests_);
  count(traffic);
}

template <class S>
bool MpiTransport<S>::advance(bool wait) {
  const auto n = static_cast<int>(requests_.size());
  int done = 1;
  if (wait)
    detail::check(MPI_Waitall(n, requests_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
  else
    detail::check(MPI_Testall(n, requests_.data(), &done, MPI_STATUSES_IGNORE), "MPI_Testall");
  return done != 0;
}

template <class S>
void MpiTransport<S>::run(const Exec&, const S* input, S* output, TrafficEntry* traffic) {
  block_(input, output);
  count(traffic);
}

template class MpiTransport<float>;
template class MpiTransport<double>;
template class MpiTransport<bfloat16>;
template class MpiTransport<float16>;

}  // namespace partita::comm
