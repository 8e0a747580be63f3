// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/protocol.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::parallel::server {
namespace {

bool has_k(Protocol protocol) {
  return protocol == Protocol::k_sync || protocol == Protocol::k_batch_sync || protocol == Protocol::k_async ||
         protocol == Protocol::k_batch_async;
}

}  // namespace

bool pulls_for_each(const ProtocolOptions& options) {
  return options.accumulate == 1 && options.protocol != Protocol::elastic && options.protocol != Protocol::k_batch_sync;
}

Rules rules_of(const ProtocolOptions& options, int workers, int servers, bool sparse) {
  const auto refuse_it = [](const char* what, index_t given, const std::string& expected) {
    refuse<UsageError>("server protocol", fmt::format("{} = {}", what, given), expected);
  };
  if (workers < 1) refuse_it("workers", workers, "at least 1");
  if (options.accumulate < 1) refuse_it("accumulate", options.accumulate, "at least 1");
  const bool distinct = options.protocol == Protocol::k_sync || options.protocol == Protocol::k_async;
  if (has_k(options.protocol) && (options.k < 1 || (distinct && options.k > workers)))
    refuse_it("k", options.k, distinct ? fmt::format("1 to {} workers", workers) : "at least 1");
  if (options.protocol == Protocol::ssp && options.staleness < 0)
    refuse_it("staleness", options.staleness, "at least 0");
  if (sparse && !pulls_for_each(options))
    refuse<UsageError>("server protocol", to_string(options, workers) + " of a sparse model",
                       "a protocol in which a gradient follows a pull of its own");

  using Gate = Rules::Gate;
  Rules rules;
  rules.group = has_k(options.protocol) ? options.k : options.apply == Apply::clock ? 0 : 1;
  rules.led = has_k(options.protocol) && servers > 1;
  switch (options.protocol) {
    case Protocol::bsp:
      rules.gate = Gate::clock;
      break;
    case Protocol::ssp:
      rules.gate = Gate::clock;
      rules.slack = options.staleness;
      break;
    case Protocol::k_sync:
      rules.gate = Gate::version;
      rules.distinct = rules.fresh = rules.clock_is_version = true;
      break;
    case Protocol::k_batch_sync:
      rules.gate = Gate::version;
      rules.fresh = rules.repeats = true;
      break;
    case Protocol::k_async:
      rules.gate = Gate::update;
      rules.distinct = true;
      break;
    case Protocol::elastic:
      rules.group = 1;
      rules.elastic = true;
      break;
    case Protocol::async:
    case Protocol::k_batch_async:
      break;
  }
  // Else a worker would not know which gradient a pull is for, and what it touches.
  if (sparse) rules.clock_is_version = false;
  return rules;
}

index_t clock_after(index_t updates, const Rules& rules, int workers) {
  return rules.group == 0 || rules.clock_is_version ? updates : updates * rules.group / workers;
}

std::string to_string(const ProtocolOptions& options, int workers) {
  const std::string name(name_of(protocols, options.protocol));
  if (options.protocol == Protocol::elastic) return name;
  if (has_k(options.protocol)) return fmt::format("{}({} of {})", name, options.k, workers);
  const std::string bound = options.protocol == Protocol::ssp ? fmt::format("({})", options.staleness) : "";
  return fmt::format("{}{}/{}", name, bound, name_of(applies, options.apply));
}

}  // namespace partita::parallel::server
