// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/mpi/server_rank.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel::server {

template <class Scalar>
ServerRank<Scalar>::ServerRank(kernels::Context& context, Post& post, const RankOptions& options,
                               const Learner<Scalar>& learner, int number, Vector<Scalar> weights,
                               std::unique_ptr<UpdateRule<Scalar>> rule)
    : conflicts(learner.table().rows),
      workers(static_cast<std::size_t>(options.workers)),
      context_(context),
      post_(post),
      options_(options),
      learner_(learner),
      rules_(rules_of(options.protocol, options.workers, options.servers(), learner.table().rows > 0)),
      number_(number),
      weights_(weights),
      rule_(std::move(rule)),
      machine_(rules_, options.workers, options.updates, number == 0, *this, options.first),
      store_(gradient_shape(learner, rules_, options.workers, static_cast<index_t>(weights.extent(0))),
             rules_.one_batch()),
      table_(learner.table()),
      rows_(static_cast<std::size_t>(options.workers)),
      waits_(static_cast<std::size_t>(options.workers), false),
      left_(waits_),
      present_(options.workers + (number == 0 ? options.servers() - 1 : 0)) {
  statistics.keys = options.keys[static_cast<std::size_t>(number)];
  const index_t most = longest_part(table_, statistics.keys);
  for (int w = 0; w < options.workers; ++w) {
    replies_.emplace_back(post.comm, options.rank_of_worker(w), most);
    pushes_.emplace_back(post.comm, options.rank_of_worker(w), most);
    if (table_.rows > 0) gathered_.push_back(make_buffer<Scalar>("partita::parallel::ServerRank::gathered", most));
  }
  if (table_.rows > 0) touched_ = make_buffer<Real>("partita::parallel::ServerRank::touched", most);
}

template <class Scalar>
void ServerRank<Scalar>::tell_worker(int worker, Note note) {
  note.number = number_;
  post_.mail.send(note, options_.rank_of_worker(worker), post_.to_worker);
}

template <class Scalar>
void ServerRank<Scalar>::tell_server(int server, Note note) {
  note.number = number_;
  note.is_server = true;
  post_.mail.send(note, server, post_.to_server);
}

// All that has come, before any of it is handled: that is the queue.
template <class Scalar>
bool ServerRank<Scalar>::collect() {
  for (;;) {
    if (spare_.empty()) spare_.emplace_back();
    Mail& mail = spare_.back();
    const auto from = post_.mail.take(post_.to_server, mail.note, mail.numbers);
    if (!from) return !queue_.empty();
    mail.from = *from;
    statistics.queue_depth.add(static_cast<double>(queue_.size()));
    queue_.push_back(std::move(mail));
    spare_.pop_back();
  }
}

template <class Scalar>
bool ServerRank<Scalar>::serve() {
  if (!collect()) return false;
  const Doing before = post_.time.enter(Doing::serve);
  while (!queue_.empty()) {
    const std::int64_t start_ns = now_ns();
    handle(queue_.front());
    statistics.service_s.add(seconds(now_ns() - start_ns));
    spare_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  post_.time.enter(before);
  return true;
}

template <class Scalar>
void ServerRank<Scalar>::handle(const Mail& mail) {
  const Note& note = mail.note;
  const auto worker = static_cast<std::size_t>(note.number);
  switch (note.kind) {
    case Note::Kind::pull:
      waits_[worker] = true;
      statistics.received_bytes += std::ssize(mail.numbers);
      comm::read_numbers(mail.numbers, rows_[worker]);
      return halted_ ? end(note.number) : machine_.pull(note.number, note.clock, note.version);
    case Note::Kind::push:
      return push(mail);
    case Note::Kind::report:
      if (reported) reported(mail.from, note.spent);
      return;
    case Note::Kind::state:
      comm::read_numbers(mail.numbers, state_);
      return stated(note.number, note.version, state_);
    case Note::Kind::halt:
      if (number_ == 0 && asked_to_halt) asked_to_halt(fmt::format("rank {}", mail.from));
      return halt();
    case Note::Kind::bye:
      if (note.is_server) {
        tell_server(note.number, {.kind = Note::Kind::gone});
      } else {
        left_[worker] = true;
        tell_worker(note.number, {.kind = Note::Kind::gone});
      }
      --present_;
      return leave();
    case Note::Kind::gone:
      gone_ = true;
      return;
    default:
      refuse<Error>("ServerRank", "a note for a worker", "one for a server");
  }
}

// The first server leaves last.
template <class Scalar>
void ServerRank<Scalar>::leave() {
  if (present_ > 0 || said_bye_) return;
  said_bye_ = true;
  if (number_ == 0)
    gone_ = true;
  else
    tell_server(0, {.kind = Note::Kind::bye});
}

template <class Scalar>
void ServerRank<Scalar>::halt() {
  if (halted_ || machine_.ended()) return;
  halted_ = true;
  for (int w = 0; w < options_.workers; ++w) {
    const auto at = static_cast<std::size_t>(w);
    if (!left_[at]) tell_worker(w, {.kind = Note::Kind::end, .answers = waits_[at]});
    waits_[at] = false;
  }
  for (int s = 1; number_ == 0 && s < options_.servers(); ++s) tell_server(s, {.kind = Note::Kind::halt});
}

template <class Scalar>
void ServerRank<Scalar>::ask_to_halt() {
  if (!said_bye_) tell_server(0, {.kind = Note::Kind::halt});
}

template <class Scalar>
void ServerRank<Scalar>::tell_state(index_t version, std::span<const Real> state) {
  if (number_ == 0) return stated(0, version, state);
  constexpr std::size_t most = std::size_t{1} << 20;  // numbers of a note
  const Note note{.kind = Note::Kind::state, .number = number_, .version = version, .is_server = true};
  for (std::size_t k = 0; k < state.size(); k += most)
    post_.mail.send(note, 0, post_.to_server, state.subspan(k, std::min(most, state.size() - k)));
}

// Elements of this server that a worker has asked for, and hands in.
template <class Scalar>
index_t ServerRank<Scalar>::part_of(int worker) const {
  return touched_part(table_, statistics.keys, rows_[static_cast<std::size_t>(worker)]).window.extent;
}

template <class Scalar>
void ServerRank<Scalar>::receive(int worker, Vector<Real> into) {
  if (into.extent(0) == 0) return;
  auto& place = pushes_[static_cast<std::size_t>(worker)];
  place.receive(context_.exec(), into, post_.gradient);
  place.wait(context_.exec());
}

// A node of a gradient: of rows that are touched, it is 0 elsewhere.
template <class Scalar>
void ServerRank<Scalar>::take(int worker, Vector<Real> gradient) {
  if (table_.rows == 0) return receive(worker, gradient);
  const Vector<Real> some = part(touched_, Range{0, part_of(worker)});
  receive(worker, some);
  spread_touched<Real>(context_, table_, statistics.keys, rows_[static_cast<std::size_t>(worker)], some, gradient);
}

template <class Scalar>
void ServerRank<Scalar>::push(const Mail& mail) {
  const Note& note = mail.note;
  const Push push{note.number, note.clock, note.version, note.update};
  handled_ = &mail;
  statistics.received_bytes += store_.nodes(push.worker) * part_of(push.worker) * static_cast<index_t>(sizeof(Real));
  if (number_ == 0 && reported) reported(mail.from, note.spent);
  if (halted_)
    drop(push);
  else
    machine_.push(push);
  handled_ = nullptr;
}

template <class Scalar>
void ServerRank<Scalar>::keep(const Push& push, index_t update) {
  const Note& note = handled_->note;
  for (index_t k = 0; k < store_.nodes(push.worker); ++k) take(push.worker, store_.place(update, push.worker, k));
  store_.keep(context_.exec(), update, push.worker, rules_.elastic ? learner_.batch() : note.samples);
  conflicts.hand_in(update, push.version, rows_[static_cast<std::size_t>(push.worker)]);
  const index_t staleness = update - push.version;
  comm::read_numbers(handled_->numbers, losses_);
  pending_[update].add(push.worker, note.samples, staleness, losses_);
  workers[static_cast<std::size_t>(push.worker)].stale(staleness);
}

template <class Scalar>
void ServerRank<Scalar>::drop(const Push& push) {
  if (nowhere_.extent(0) == 0)
    nowhere_ = make_buffer<Real>("partita::parallel::ServerRank::nowhere", longest_part(table_, statistics.keys));
  for (index_t k = 0; k < store_.nodes(push.worker); ++k)
    receive(push.worker, part(nowhere_, Range{0, part_of(push.worker)}));
  ++workers[static_cast<std::size_t>(push.worker)].dropped;
}

template <class Scalar>
void ServerRank<Scalar>::update(index_t update) {
  const Doing before = post_.time.enter(Doing::update);
  const Exec& exec = context_.exec();
  auto found = pending_.extract(update);
  PendingUpdate& pending = found.mapped();
  MadeUpdate made{.update = update, .samples = pending.samples(), .staleness = pending.staleness()};
  if (number_ == 0) made.loss = pending.loss(rules_, learner_.labels());
  if (table_.rows == 0)                             // else they are copies
    for (auto& reply : replies_) reply.wait(exec);  // of weights that are about to change
  rule_->apply(context_, store_.mean(exec, update).gradient, update, made.staleness);
  store_.release(update);
  conflicts.updated(update);
  ++statistics.updates;
  made.squares = rule_->squares();
  post_.time.enter(before);
  if (updated) updated(made);
  const bool alone = number_ > 0 && options_.first_worker > 0;  // a worker's push says it of both
  if (alone) tell_server(0, {.kind = Note::Kind::report, .spent = post_.time.take()});
}

template <class Scalar>
void ServerRank<Scalar>::judge(int worker, index_t update) {
  tell_worker(worker, {.kind = Note::Kind::judge, .update = update});
}

// All weights, or a copy of those that the worker has asked for.
template <class Scalar>
ConstVector<Scalar> ServerRank<Scalar>::asked_for(int worker) {
  if (table_.rows == 0) return weights_;
  const auto w = static_cast<std::size_t>(worker);
  const Vector<Scalar> some = part(gathered_[w], Range{0, part_of(worker)});
  gather_touched<Scalar>(context_.exec(), table_, statistics.keys, rows_[w], weights_, some);
  return some;
}

template <class Scalar>
void ServerRank<Scalar>::reply(int worker) {
  const Exec& exec = context_.exec();
  auto& place = replies_[static_cast<std::size_t>(worker)];
  place.wait(exec);
  waits_[static_cast<std::size_t>(worker)] = false;
  tell_worker(worker, {.kind = Note::Kind::reply, .version = machine_.version()});
  const ConstVector<Scalar> weights = asked_for(worker);
  const auto n = static_cast<index_t>(weights.extent(0));
  if (n > 0) place.send(exec, weights, post_.weights, post_.pulled);
  statistics.sent_bytes += n * static_cast<index_t>(sizeof(Scalar));
  if (post_.pulled == nullptr) return;
  namespace forms = comm::closed_forms;
  post_.pulled->expected_messages += static_cast<double>(forms::pull(n, forms::Messages{}));
  post_.pulled->expected_bytes += static_cast<double>(forms::pull(n, forms::Bytes{sizeof(Scalar)}));
}

template <class Scalar>
void ServerRank<Scalar>::stop(int worker) {
  if (!left_[static_cast<std::size_t>(worker)])
    tell_worker(worker, {.kind = Note::Kind::stop, .version = machine_.version()});
}

template <class Scalar>
void ServerRank<Scalar>::end(int worker) {
  waits_[static_cast<std::size_t>(worker)] = false;
  tell_worker(worker, {.kind = Note::Kind::end, .answers = true});
}

template class ServerRank<float>;
template class ServerRank<double>;

}  // namespace partita::parallel::server
