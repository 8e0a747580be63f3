# SPDX-License-Identifier: BSD-3-Clause
"""What fuzzers in Python share: their options, limits of time and memory, the loop, what a finding is."""

import argparse
import itertools
import random
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable

from partita.errors import PartitaError

LONGEST = 2000  # Characters of a message.


def wrong_with(call: Callable[[], object], is_clear: Callable[[str], bool], seconds: int) -> str:
    """What is wrong with a call that may only end well or with a clear message of one line; empty: nothing."""
    signal.alarm(seconds)
    try:
        call()
    except PartitaError as error:
        message = str(error)
        if len(message) > LONGEST or not message.isprintable() or not is_clear(message):
            return f"not a clear message: {message[:3000]!r}"
    except BaseException:  # noqa: BLE001, all others are findings.
        return traceback.format_exc(limit=-6)
    finally:
        signal.alarm(0)
    return ""


def fuzz(description: str, what: str, runs: int, memory: int, trial: Callable[[int, random.Random], str]) -> int:
    """Calls `trial` with the number of the run and its dice, again and again; 1 where it returned a finding."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--seconds", type=float, default=0, help="end after so long, whatever --runs says")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-going", action="store_true", help="say each kind of finding once, and go on")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    signal.signal(signal.SIGALRM, _late)
    warnings.simplefilter("ignore")
    found: set[str] = set()
    begin, done = time.monotonic(), 0
    for run in itertools.count() if options.seconds else range(options.runs):
        if options.seconds and time.monotonic() - begin > options.seconds:
            break
        done = run + 1
        wrong = trial(run, random.Random(f"{options.seed}-{run}"))
        if wrong and (kind := "".join(wrong.splitlines()[-3:])[:120]) not in found:
            found.add(kind)
            print(f"FINDING {len(found)}, seed {options.seed}, run {run}:\n{wrong}", flush=True)
            if not options.keep_going:
                return 1
    print(f"{done} {what} in {time.monotonic() - begin:.0f} s, {len(found)} findings")
    return 1 if found else 0


def _late(_signal: int, _frame: object) -> None:
    raise TimeoutError("more than the seconds of a trial")
