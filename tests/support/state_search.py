"""Every state that one honest browser, its requests and answers on their way and the row can come to.

Time goes in ticks; every delay is bounded in ticks, and whatever happens within one tick happens in any order. Tokens
are told apart by their relation to each other and to the row alone, so there are finitely many states, and a
breadth-first search finds the shortest way to a THEFT, or shows that there is none.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from tests.support.oracle import Limits, Row, Token, present

Ident = int
FRESH: Ident = -1
"""The identity of a child just made, until the state is named anew."""
Known = tuple[Ident, ...]


class Held(NamedTuple):
    """A row: the identities it knows, and how many ticks ago it was last set."""

    generation: int
    known: Known
    age: int = 0
    reopened: int = 0


class Kept(NamedTuple):
    """A long cookie, the ticks for which the short session beside it still serves, and how long it has been there."""

    token: Token | None
    valid: int = 0
    age: int = 0


class State(NamedTuple):
    """A browser, what is on its way, and a database with the earlier rows a failover may bring back."""

    row: Held
    earlier: tuple[Held, ...]
    jar: Kept
    overwritten: tuple[Kept, ...]
    requests: tuple[Kept, ...]
    answers: tuple[Kept, ...]


Served = tuple[Held, Token | Literal["reuse"] | None]
"""The row afterwards, and what the browser gets: a token, none (it keeps its own), or the way out."""
Scheme = Callable[[Held, Token], Served]


class World(NamedTuple):
    """What may happen, in ticks. ``honoured`` is the short lifetime; None while short sessions are refused."""

    request: int = 1
    answer: int = 2
    to_disk: int = 0
    honoured: int | None = None
    at_once: int = 3
    earlier: int = 0
    failover: Literal["never", "quiet", "any time"] = "never"
    clock_back: bool = False
    ahead: bool = False
    """Whether requests with a valid short session may refresh it ahead of time."""


class Found(NamedTuple):
    """How many states there are, or were seen before a THEFT; and the shortest way to it."""

    states: int
    way: tuple[str, ...] | None


def successor_confirmed(limits: Limits) -> Scheme:
    """The protocol itself. Without a bound on reopening, ``reopened`` matters to nobody."""

    def serve(row: Held, t: Token) -> Served:
        after, answer = present(Row(row.generation, row.known[0], -row.age, row.reopened), t, 0, limits)
        reopened = 0 if limits.max_reopens == float("inf") else after.reopened
        new = Held(after.generation, (after.token_hash,), -after.rotated_at, reopened)
        return new, "reuse" if answer == "reuse" else child(t) if answer == "child" else None

    return serve


def child(t: Token) -> Token:
    """A fresh child."""
    return Token(t.generation + 1, FRESH, t.hash)


NEW = Held(0, (0,))
"""The row of a session just started; the browser holds a child of identity 1."""


def search(scheme: Scheme, world: World, oldest: int, row: Held = NEW) -> Found:
    """Explore to the fixpoint, or to the first THEFT. A row older than ``oldest`` ticks is as good as that old."""
    gc.disable()  # no state is garbage, and looking through all of them takes a third of the time
    try:
        return _search(scheme, world, oldest, named_anew(State(row, (), Kept(Token(1, 1, 0)), (), (), ())))
    finally:
        gc.enable()


def _search(scheme: Scheme, world: World, oldest: int, first: State) -> Found:
    came: dict[State, tuple[State, str] | None] = {first: None}
    met: set[State] = set()
    """As they came, to spare naming most of them."""
    todo = deque([first])
    while todo:
        state = todo.popleft()
        for what, after in moves(state, scheme, world, oldest):
            if after is None:
                return Found(len(came), (*_way(came, state), what))
            if after in met:
                continue
            met.add(after)
            after = named_anew(after)
            if after not in came:
                came[after] = state, what
                todo.append(after)
    return Found(len(came), None)


def _way(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    way = []
    while (step := came[state]) is not None:
        state, what = step
        way.append(what)
    return way[::-1]


# ---- what may happen next


def moves(s: State, scheme: Scheme, world: World, oldest: int) -> Iterator[tuple[str, State | None]]:
    """Every next state; None is a THEFT."""
    on_their_way = len(s.requests) + len(s.answers)
    # a request that leaves with a short session may arrive when that has run out
    if on_their_way < world.at_once and (world.ahead or s.jar.valid <= world.request):
        yield "send", s._replace(requests=(*s.requests, s.jar._replace(age=0)))
    for request, rest in _each(s.requests):
        yield "lose a request, or crash before the commit", s._replace(requests=rest)
        if request.age >= request.valid:
            yield _process(s._replace(requests=rest), request.token, scheme, world)
        elif world.ahead and 5 * (request.valid - request.age) <= 2 * (world.honoured or 0):  # the last two fifths
            yield _advance(s._replace(requests=rest), request.token, scheme, world)
    for answer, rest in _each(s.answers):
        yield "lose an answer, or crash after the commit", s._replace(answers=rest)
        yield "deliver", _deliver(s._replace(answers=rest), answer, world)
    for number, old in enumerate(s.overwritten):
        yield "roll the cookies back", s._replace(jar=old._replace(age=0), overwritten=s.overwritten[number + 1 :])
    quiet = not (on_their_way or s.overwritten)
    if s.earlier and (world.failover == "any time" or (world.failover == "quiet" and quiet)):
        yield "fail over", s._replace(row=s.earlier[0], earlier=s.earlier[1:])
    if world.clock_back and s.row.age >= 0:
        yield "set the clock back", _aged(s, -1, oldest)
    if all(each.age < world.request for each in s.requests) and all(each.age < world.answer for each in s.answers):
        yield "tick", _tick(s, world, oldest)


def _each(of: tuple[Kept, ...]) -> Iterator[tuple[Kept, tuple[Kept, ...]]]:
    """Each one and the others; equal ones stand beside each other and count once."""
    for number, one in enumerate(of):
        if number == 0 or of[number - 1] != one:
            yield one, of[:number] + of[number + 1 :]


def _process(s: State, t: Token | None, scheme: Scheme, world: World) -> tuple[str, State | None]:
    assert t is not None
    row, got = scheme(s.row, t)
    if got == "reuse":
        return "THEFT", None
    committed = row != s.row and world.earlier
    earlier = (s.row, *s.earlier)[: world.earlier] if committed else s.earlier
    answers = s.answers if got is None and world.honoured is None else (*s.answers, Kept(got, world.honoured or 0))
    return "process", s._replace(row=row, earlier=earlier, answers=answers)


def _advance(s: State, t: Token | None, scheme: Scheme, world: World) -> tuple[str, State | None]:
    """Refresh ahead of time: where the row does not move on, nothing happens, and the short session serves."""
    assert t is not None
    row, got = scheme(s.row, t)
    if got == "reuse" or row == s.row:
        return "serve", s
    return "refresh ahead of time", _process(s, t, scheme, world)[1]


def _deliver(s: State, answer: Kept, world: World) -> State:
    jar = Kept(answer.token or s.jar.token, answer.valid)
    is_new = world.to_disk and jar.token != s.jar.token
    return s._replace(jar=jar, overwritten=(s.jar._replace(age=0), *s.overwritten) if is_new else s.overwritten)


def _tick(s: State, world: World, oldest: int) -> State:
    def older(of: Iterable[Kept]) -> tuple[Kept, ...]:
        return tuple(Kept(each.token, max(0, each.valid - 1), each.age + 1) for each in of)

    return _aged(s, 1, oldest)._replace(
        jar=s.jar._replace(valid=max(0, s.jar.valid - 1)),
        overwritten=older(each for each in s.overwritten if each.age < world.to_disk),
        # what a request was sent with stays: it is compared with the request's own age
        requests=tuple(each._replace(age=each.age + 1) for each in s.requests),
        answers=older(s.answers),
    )


def _aged(s: State, by: int, oldest: int) -> State:
    def aged(row: Held) -> Held:
        return row._replace(age=max(-1, min(oldest, row.age + by)))

    return s._replace(row=aged(s.row), earlier=tuple(map(aged, s.earlier)))


# ---- naming tokens by their relations


def named_anew(s: State) -> State:
    """The same state with the row's generation 0, and identities numbered in the order in which they are met."""
    rows, kept = (s.row, *s.earlier), (s.jar, *s.overwritten, *s.requests, *s.answers)
    alive = {ident for row in rows for ident in row.known} | {each.token.hash for each in kept if each.token}
    gens = _gens(
        s.row.generation, {row.generation for row in rows} | {each.token.generation for each in kept if each.token}
    )
    names: dict[Any, Ident] = {}

    def name(ident: Ident) -> Ident:
        return names.setdefault(ident, len(names))

    def row(of: Held) -> Held:
        return Held(gens[of.generation], tuple(map(name, of.known)), of.age, of.reopened)

    def keep(of: Kept) -> Kept:
        t = of.token
        if t is None:
            return of
        # a parent that nobody knows any more is nobody's parent
        pid = name(t.parent_hash) if t.parent_hash in alive else -2
        return Kept(Token(gens[t.generation], name(t.hash), pid), of.valid, of.age)

    def order(of: Kept) -> tuple[Any, ...]:
        t = of.token
        relations = () if t is None else (t.generation, names.get(t.hash, 99), names.get(t.parent_hash, 99))
        return (of.age, of.valid, *relations)

    def sorted_anew(of: tuple[Kept, ...]) -> tuple[Kept, ...]:
        return tuple(sorted((keep(each) for each in sorted(of, key=order)), key=_by_value))

    rows_anew = tuple(map(row, rows))
    first = keep(s.jar), tuple(map(keep, s.overwritten))
    return State(rows_anew[0], rows_anew[1:], *first, sorted_anew(s.requests), sorted_anew(s.answers))


def _by_value(of: Kept) -> tuple[Any, ...]:
    return (of.token or (), of.valid, of.age)


def _gens(base: int, used: set[int]) -> dict[int, int]:
    """Generations from the row's own; one that is two ahead is as far ahead as any."""
    named: dict[int, int] = {}
    before = at = 0
    for number, gen in enumerate(sorted(used)):
        at += min(gen - before, 2) if number else 0
        named[gen], before = at, gen
    return {gen: name - named[base] for gen, name in named.items()}
