"""JSON values that nobody can change: what was verified once serves many requests."""

from __future__ import annotations

from typing import Any, NoReturn


def _refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
    raise TypeError("verified claims can't be changed; change a copy: copy.deepcopy(claims)")


class FrozenDict(dict[str, Any]):
    """A dict that can't be changed. It is a dict still: equal to others and serialised as JSON. Copies are plain."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """The same of a list."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


NOTHING = FrozenDict()
"""No claims at all, as most short sessions have."""


def frozen(value: Any) -> Any:
    """A JSON value, frozen all the way down. What is frozen already is returned as it is."""
    if isinstance(value, (FrozenDict, FrozenList)):
        return value
    if isinstance(value, dict):
        return FrozenDict({name: frozen(item) for name, item in value.items()}) if value else NOTHING
    if isinstance(value, (list, tuple)):
        return FrozenList(map(frozen, value))
    return value
