"""JSON values that nobody can change: what was verified once serves many requests."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


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


def made_by_position(cls: type[T]) -> type[T]:
    """Let a frozen dataclass with slots be made quickly by whoever gives every field by position.

    A dataclass looks ``object.__setattr__`` up for each field, which took longer than all else that was made with it.
    """
    setters = [getattr(cls, field.name).__set__ for field in fields(cls)]  # type: ignore[arg-type]
    init, finish = cls.__init__, getattr(cls, "__post_init__", lambda self: None)

    @wraps(init)
    def __init__(self: Any, *values: Any, **named: Any) -> None:
        if named or len(values) != len(setters):
            init(self, *values, **named)
            return
        for set_field, value in zip(setters, values, strict=True):
            set_field(self, value)
        finish(self)

    cls.__init__ = __init__  # type: ignore[method-assign]
    return cls
