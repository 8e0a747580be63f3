# SPDX-License-Identifier: BSD-3-Clause
"""The resolved deck of a record (/config/toml), parsed once for all runs that differ in nothing but their own lines.

Repeats of a point differ in a path, a name and perhaps a seed. Parsing a deck takes as long as reading all the rest of
a small record.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count
from typing import Any

from partita.studies.study import flatten, toml_value

OWN = re.compile(r'^(path|point|seed) = ("[^"\\\n]*"|\d+)$', re.MULTILINE)  # Lines that repeats may differ in.


class Common:
    """What decks share: all keys in their order, with a placeholder for values of their own."""

    def __init__(self, keys: Mapping[str, Any], own: tuple[str, ...] = ()) -> None:
        self.keys, self.own = keys, own

    @cached_property
    def texts(self) -> dict[str, str]:
        """Key -> value as TOML text, without values of their own."""
        return {key: toml_value(value) for key, value in self.keys.items() if key not in self.own}


@dataclass(frozen=True, eq=False)
class Deck:
    """The dotted keys of one record."""

    common: Common
    values: tuple[str, ...] = ()  # TOML texts of its own keys, in their order.

    @property
    def own(self) -> dict[str, str]:
        """Key -> value as it stands in the text, of the keys that repeats may differ in."""
        return dict(zip(self.common.own, self.values, strict=True))

    @property
    def config(self) -> dict[str, Any]:
        """Key -> value."""
        own = {key: text[1:-1] if text.startswith('"') else int(text) for key, text in self.own.items()}
        return {**self.common.keys, **own}


def read_deck(text: str) -> Deck:
    """TOMLDecodeError where the text is no TOML."""
    common = _common(OWN.sub(r"\1 = 0", text))
    if common is None:
        return Deck(Common(flatten(tomllib.loads(text))))
    return Deck(common, tuple(found[2] for found in OWN.finditer(text)))


@lru_cache(maxsize=4096)
def _common(template: str) -> Common | None:
    """None where a line that looks like a key is none, such as one inside a text of many lines."""
    number = count()
    keys = flatten(tomllib.loads(OWN.sub(lambda line: f'{line[1]} = "own {next(number)}"', template)))
    place = {value: key for key, value in keys.items() if isinstance(value, str) and value.startswith("own ")}
    own = [place.get(f"own {n}") for n in range(next(number))]
    return None if None in own or len(place) != len(own) else Common(keys, tuple(own))
