"""Reads each trait in one call: traitlets takes four, and IPython reads some two hundred traits for every cell."""

from __future__ import annotations

from typing import Any

from traitlets import TraitType

_read = TraitType.__get__


def _read_quickly(trait: Any, owner: Any, kind: Any = None) -> Any:
    """The stored value, read in traitlets' own way if there is none yet; without an owner, the trait itself."""
    if owner is not None:
        try:
            return owner._trait_values[trait.name]
        except (AttributeError, KeyError):
            return _read(trait, owner, kind)
    return trait


def _keep_own_way(kind: Any, /, **arguments: Any) -> None:
    """Keep the slow way for a new class of traits that overrides `get`."""
    super(TraitType, kind).__init_subclass__(**arguments)
    if kind.get is not TraitType.get and kind.__get__ is _read_quickly:
        kind.__get__ = _read


def read_traits_quickly() -> None:
    """Read traits in one call from now on. Existing classes are not checked: none of them overrides `get`."""
    trait: Any = TraitType
    trait.__init_subclass__ = classmethod(_keep_own_way)
    trait.__get__ = _read_quickly
