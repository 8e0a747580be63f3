// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/index.hpp>
#include <partita/core/named.hpp>

namespace partita::parallel::server {

/// When a worker may read weights again, and which gradients make an update: README of apps/param_server has pictures.
///
///     bsp            every worker waits for all gradients of a clock (Valiant 1990)
///     ssp            the fastest worker is at most `staleness` clocks ahead of the slowest (Ho et al. 2013)
///     async          nobody waits (Recht et al. 2011, Dean et al. 2012)
///     k-sync         the first k gradients of a clock; those who are late stop (Chen et al. 2016: backup workers)
///     k-batch-sync   the first k gradients, by whomever: a worker goes on with the same weights (Dutta et al. 2018)
///     k-async        the first k workers; those who are late go on with old weights
///     k-batch-async  the first k gradients, by whomever, nobody waits (Lian et al. 2015)
///     elastic        workers have weights of their own, tied to a centre by a spring (Zhang et al. 2015)
enum class Protocol { bsp, ssp, async, k_sync, k_batch_sync, k_async, k_batch_async, elastic };
inline constexpr Named<Protocol> protocols[] = {{"bsp", Protocol::bsp},
                                                {"ssp", Protocol::ssp},
                                                {"async", Protocol::async},
                                                {"k-sync", Protocol::k_sync},
                                                {"k-batch-sync", Protocol::k_batch_sync},
                                                {"k-async", Protocol::k_async},
                                                {"k-batch-async", Protocol::k_batch_async},
                                                {"elastic", Protocol::elastic}};

/// bsp, ssp, async: an update is made of all gradients of a clock, or of each as it arrives.
enum class Apply { clock, push };
inline constexpr Named<Apply> applies[] = {{"clock", Apply::clock}, {"push", Apply::push}};

/// What was asked for.
struct ProtocolOptions {
  Protocol protocol = Protocol::bsp;
  Apply apply = Apply::clock;
  index_t staleness = 3;   ///< ssp: clocks
  int k = 1;               ///< of the four protocols with a k: gradients of an update
  index_t accumulate = 1;  ///< gradients that a worker adds up before a push; elastic: local steps between exchanges
};

/// A protocol as server and worker follow it: a few independent choices, so that protocols that are the same in theory
/// are the same in the code.
struct Rules {
  /// What a server waits for before it answers a pull.
  enum class Gate {
    none,     ///< nothing
    clock,    ///< the slowest worker is at most `slack` clocks behind
    version,  ///< weights as new as the worker wants them
    update    ///< the worker's last gradient is in an update; the first server alone waits
  };
  Gate gate = Gate::none;
  index_t slack = 0;
  /// Gradients of an update: all of a clock (0), or the next so many.
  int group = 0;
  /// No update holds two gradients of one worker: with fewer workers than `group` it is made of theirs.
  bool distinct = false;
  /// Gradients of weights that are not the newest are dropped; at an update those who still compute stop and pull.
  bool fresh = false;
  /// After a push a worker goes on with the same weights.
  bool repeats = false;
  /// A worker counts its gradients by the updates that it has seen, so that all of an update are of one global batch.
  bool clock_is_version = false;
  /// Of several servers the first one says of which update a gradient is a part, and the worker hands it to the others
  /// for that one. If each took those that reach it first, they would wait for different workers, and some for ever.
  bool led = false;
  /// A worker keeps weights of its own, and pulls between a gradient and its push.
  bool elastic = false;

  /// Gradients of an update are of one global batch, a worker's own rows each: they can be summed as its tree.
  bool one_batch() const { return group == 0 || clock_is_version; }
};

/// Whether every gradient of a worker follows a pull of its own, so that it may pull what that gradient touches alone.
bool pulls_for_each(const ProtocolOptions& options);

/// sparse   Workers pull and push what a gradient touches alone.
/// Throws   UsageError for a k, a staleness or an accumulation that the protocol cannot have with so many workers, and
///          for a sparse model without pulls_for_each.
Rules rules_of(const ProtocolOptions& options, int workers, int servers = 1, bool sparse = false);

/// Where workers of a run that goes on begin: gradients that each has handed in, about, once so many updates were made.
index_t clock_after(index_t updates, const Rules& rules, int workers);

/// "ssp(3)/clock", "k-sync(7 of 8)".
std::string to_string(const ProtocolOptions& options, int workers);

}  // namespace partita::parallel::server
