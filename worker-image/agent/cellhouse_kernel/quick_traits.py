"""Reads of traits in one call: traitlets takes four for each, and IPython reads some two hundred for every cell."""

from __future__ import annotations

from typing import Any

from traitlets import TraitType

_read = TraitType.__get__


def _read_quickly(trait: Any, owner: Any, kind: Any = None) -> Any:
    """The value that is there, and traitlets' own way where there is none yet, or no owner."""
    if owner is not None:
        try:
            return owner._trait_values[trait.name]
        except (AttributeError, KeyError):
            return _read(trait, owner, kind)
    return trait


def _keep_own_way(kind: Any, /, **arguments: Any) -> None:
    """A kind of trait that reads in a way of its own goes on doing so."""
    super(TraitType, kind).__init_subclass__(**arguments)
    if kind.get is not TraitType.get and kind.__get__ is _read_quickly:
        kind.__get__ = _read


def read_traits_quickly() -> None:
    """From now on. No kind of trait that is there by now has its own way to read."""
    trait: Any = TraitType
    trait.__init_subclass__ = classmethod(_keep_own_way)
    trait.__get__ = _read_quickly
