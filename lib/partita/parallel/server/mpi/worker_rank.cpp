// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/mpi/worker_rank.hpp>

#include <algorithm>
#include <utility>

#include <partita/comm/closed_forms.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel::server {

template <class Scalar>
WorkerRank<Scalar>::WorkerRank(kernels::Context& context, Post& post, const RankOptions& options,
                               Learner<Scalar>& learner, int number, ElasticOptions elastic)
    : context_(context),
      post_(post),
      options_(options),
      learner_(learner),
      number_(number),
      rules_(rules_of(options.protocol, options.workers, options.servers(), learner.table().rows > 0)),
      machine_(rules_, number, options.servers(), *this),
      table_(learner.table()) {
  const bool has_own = options.protocol.protocol == Protocol::elastic;
  if (has_own) elastic_ = std::make_unique<ElasticWorker<Scalar>>(learner, number, std::move(elastic));
  window_ =
      has_own ? elastic_->centre() : make_buffer<Scalar>("partita::parallel::WorkerRank::window", learner.window());
  nodes_ = has_own || learner.leaves() == 0 ? 1 : std::ssize(learner.cover(number));
  const auto servers = static_cast<std::size_t>(options.servers());
  for (std::size_t s = 0; s < servers; ++s) {
    const index_t most = longest_part(table_, options.keys[s]);
    weights_.emplace_back(post.comm, static_cast<int>(s), most);
    for (index_t k = 0; k < nodes_; ++k) sends_.emplace_back(post.comm, static_cast<int>(s), most);
  }
  asked_ = replied_ = sending_ = std::vector<bool>(servers, false);
  versions_ = pushed_bytes = pulled_bytes = skew_max = std::vector<index_t>(servers);
  asked_ns_ = sent_ns_ = std::vector<std::int64_t>(servers);
  skew_sum.resize(servers);
}

template <class Scalar>
void WorkerRank<Scalar>::tell(int server, Note note, std::span<const double> losses) {
  note.number = number_;
  post_.mail.send(note, server, post_.to_server, losses);
}

// Of its window: what the server has of the next gradient.
template <class Scalar>
TouchedPart WorkerRank<Scalar>::part_of(std::size_t server) const {
  return touched_part(table_, options_.keys[server], rows_);
}

template <class Scalar>
void WorkerRank<Scalar>::begin() {
  began_ns_ = now_ns();
  machine_.begin(clock_after(options_.first, rules_, options_.workers));
}

template <class Scalar>
bool WorkerRank<Scalar>::serve() {
  bool did = false;
  Note note;
  std::vector<double> nothing;
  while (post_.mail.take(post_.to_worker, note, nothing)) {
    handle(note);
    did = true;
  }
  did = land() || did;
  sent();
  if (finished()) leave();
  return did;
}

template <class Scalar>
void WorkerRank<Scalar>::handle(const Note& note) {
  const auto server = static_cast<std::size_t>(note.number);
  switch (note.kind) {
    case Note::Kind::reply:
      replied_[server] = true;
      versions_[server] = note.version;
      return;
    case Note::Kind::judge:
      if (!finished()) machine_.judged(note.update);
      return;
    case Note::Kind::stop:
      return machine_.stopped(note.number, note.version);
    case Note::Kind::end:
      if (note.answers) {
        asked_[server] = false;
        weights_[server].take_back();
      }
      return machine_.ended(note.number);
    case Note::Kind::gone:
      ++gone_;
      return;
    default:
      refuse<Error>("WorkerRank", "a note for a server", "one for a worker");
  }
}

// Weights that are whole.
template <class Scalar>
bool WorkerRank<Scalar>::land() {
  bool did = false;
  for (std::size_t s = 0; s < weights_.size(); ++s) {
    if (!replied_[s] || !weights_[s].test()) continue;
    weights_[s].wait(context_.exec());
    replied_[s] = asked_[s] = false;
    did = true;
    pulled_bytes[s] += part_of(s).window.extent * static_cast<index_t>(sizeof(Scalar));
    statistics.pull_s.add(seconds(now_ns() - asked_ns_[s]));
    machine_.replied(static_cast<int>(s), versions_[s]);
  }
  return did;
}

// Whether the last gradient may be overwritten.
template <class Scalar>
bool WorkerRank<Scalar>::sent() {
  bool all = true;
  for (std::size_t s = 0; s < sending_.size(); ++s) {
    if (!sending_[s]) continue;
    bool whole = true;
    for (index_t k = 0; k < nodes_; ++k)
      whole = sends_[s * static_cast<std::size_t>(nodes_) + static_cast<std::size_t>(k)].test() && whole;
    if (whole) statistics.push_s.add(seconds(now_ns() - sent_ns_[s]));
    sending_[s] = !whole;
    all = all && whole;
  }
  return all;
}

// Once every pull is answered and every gradient has been sent.
template <class Scalar>
void WorkerRank<Scalar>::leave() {
  if (said_bye_ || !sent() || std::find(asked_.begin(), asked_.end(), true) != asked_.end()) return;
  said_bye_ = true;
  for (int s = 0; s < options_.servers(); ++s) tell(s, {.kind = Note::Kind::bye});
}

template <class Scalar>
int WorkerRank<Scalar>::awaited() const {
  const auto asked = std::find(asked_.begin(), asked_.end(), true);
  return asked == asked_.end() ? -1 : static_cast<int>(asked - asked_.begin());
}

template <class Scalar>
void WorkerRank<Scalar>::ask_to_halt() {
  if (!finished()) tell(0, {.kind = Note::Kind::halt});
}

template <class Scalar>
void WorkerRank<Scalar>::pull(int server, index_t clock, index_t wanted) {
  const auto s = static_cast<std::size_t>(server);
  // One that was stopped pulls the same rows again.
  if (table_.rows > 0 && std::exchange(rows_of_, clock) != clock) rows_ = learner_.touched(number_, clock);
  const TouchedPart mine = part_of(s);
  if (mine.window.extent > 0) weights_[s].receive(context_.exec(), part(window_, mine.window), post_.weights);
  asked_[s] = true;
  asked_ns_[s] = now_ns();
  const auto wanted_rows = std::span<const std::int32_t>(rows_).subspan(static_cast<std::size_t>(mine.list.offset),
                                                                        static_cast<std::size_t>(mine.list.extent));
  post_.mail.send(Note{.kind = Note::Kind::pull, .number = number_, .clock = clock, .version = wanted}, server,
                  post_.to_server, wanted_rows, post_.pulled);
  pushed_bytes[s] += std::ssize(std::as_bytes(wanted_rows));
  if (post_.pulled == nullptr) return;
  namespace forms = comm::closed_forms;
  post_.pulled->expected_messages += static_cast<double>(forms::pull(mine.list.extent, forms::Messages{}));
  post_.pulled->expected_bytes +=
      static_cast<double>(forms::pull(mine.list.extent, forms::Bytes{sizeof(std::int32_t)}));
}

template <class Scalar>
void WorkerRank<Scalar>::compute(index_t) {
  index_t newest = 0;
  for (int s = 0; s < options_.servers(); ++s) newest = std::max(newest, machine_.version(s));
  for (std::size_t s = 0; s < skew_sum.size(); ++s) {
    const index_t behind = newest - machine_.version(static_cast<int>(s));
    skew_sum[s] += static_cast<double>(behind);
    skew_max[s] = std::max(skew_max[s], behind);
  }
  ++skew_count;
  due_ = true;
}

template <class Scalar>
void WorkerRank<Scalar>::cancel() {
  if (!std::exchange(due_, false)) cancelled_ = true;
  ++statistics.cancelled;
}

template <class Scalar>
void WorkerRank<Scalar>::look() const {
  if (cancelled_) throw Cancelled{};
}

template <class Scalar>
bool WorkerRank<Scalar>::work() {
  if (!due_) return false;
  if (!sent()) return false;
  due_ = cancelled_ = false;
  const Doing before = post_.time.enter(Doing::compute);
  const index_t clock = machine_.clock();
  const std::int64_t start_ns = now_ns();
  bool whole = false;
  try {
    gradient_ = elastic_ ? elastic_->compute(context_.exec(), clock)
                         : learner_.gradient(number_, clock, nn::Window<const Scalar>(window_));
    whole = true;
  } catch (const Cancelled&) {
  }
  statistics.compute_s += seconds(now_ns() - start_ns);
  post_.time.enter(before);
  // A learner may have asked nobody since it was cancelled.
  if (whole && !cancelled_) machine_.computed();
  return true;
}

template <class Scalar>
void WorkerRank<Scalar>::push(int server, const Push& push) {
  const Exec& exec = context_.exec();
  const Doing before = post_.time.enter(Doing::push);
  const auto s = static_cast<std::size_t>(server);
  if (server == 0) {
    ++statistics.pushes;
    if (elastic_) gradient_.nodes = elastic_->step(exec);
  }
  Note note{.kind = Note::Kind::push,
            .clock = push.clock,
            .version = push.version,
            .update = push.update,
            .samples = gradient_.samples};
  if (server == 0) note.spent = post_.time.take();
  sent_ns_[s] = now_ns();
  tell(server, note, server == 0 ? gradient_.losses : std::span<const double>());
  const Range mine = part_of(s).window;
  const index_t window = learner_.window();
  for (index_t k = 0; k < nodes_ && mine.extent > 0; ++k) {
    auto& place = sends_[s * static_cast<std::size_t>(nodes_) + static_cast<std::size_t>(k)];
    place.send(exec, part(gradient_.nodes, Range{k * window + mine.offset, mine.extent}), post_.gradient, post_.pushed);
  }
  sending_[s] = true;
  pushed_bytes[s] += nodes_ * mine.extent * static_cast<index_t>(sizeof(Real));
  if (post_.pushed != nullptr) {
    namespace forms = comm::closed_forms;
    post_.pushed->expected_messages += static_cast<double>(forms::push(nodes_, mine.extent, forms::Messages{}));
    post_.pushed->expected_bytes += static_cast<double>(forms::push(nodes_, mine.extent, forms::Bytes{sizeof(Real)}));
  }
  post_.time.enter(before);
}

template <class Scalar>
void WorkerRank<Scalar>::finish() {
  statistics.present_s = seconds(now_ns() - began_ns_);
  statistics.wait_s = statistics.present_s - statistics.compute_s;
}

template class WorkerRank<float>;
template class WorkerRank<double>;

}  // namespace partita::parallel::server
