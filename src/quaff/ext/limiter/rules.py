"""Rules: what is limited, by what, for whom.

A `Limit` and its variants are what users write; a text in it may name several limits, and a function may name them anew for
each request. What comes out are `RuntimeLimit` objects, one for each limit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from limits import RateLimitItem

from .constants import POLICIES
from .notation import parse_limits

L = TypeVar("L", bound="Limit")

Provider = str | Callable[[], str]
"""A limit as text, or a function that returns it for the current request."""


@dataclass(eq=True, unsafe_hash=True)
class RuntimeLimit:
    """One limit, as it is counted."""

    limit: RateLimitItem
    """How much in what time."""

    key_func: Callable[[], str]
    """Returns for whom the current request counts."""

    scope: str | Callable[[str], str] | None
    """What the limit is for beside the endpoint, or, if it is shared, in place of it."""

    per_method: bool = False
    methods: Sequence[str] | None = None
    """The methods that it is for, in lower case; None for all."""

    error_message: str | Callable[[], str] | None = None
    exempt_when: Callable[[], bool] | None = None
    override_defaults: bool | None = False
    deduct_when: Callable[[Any], bool] | None = None
    on_breach: Callable[[Any], Any] | None = None
    cost: Callable[[], int] | int = 1
    shared: bool = False
    meta_limits: tuple[RuntimeLimit, ...] | None = None
    on_store_failure: str | None = None
    """What happens when the store is down; None for what the app says."""

    def applies_to(self, method: str) -> bool:
        """Tell whether requests with *method* are limited."""
        # SECURITY: HEAD runs the view just as GET does; as another method it would be a way around the limit.
        return self.methods is None or ("get" if method == "HEAD" else method.lower()) in self.methods

    @property
    def is_exempt(self) -> bool:
        """Whether its `exempt_when` exempts the current request."""
        return bool(self.exempt_when is not None and self.exempt_when())

    @property
    def deduction_amount(self) -> int:
        """What the current request costs.

        :raises ValueError: when a function returns a negative cost, or none at all.
        """
        cost = self.cost
        if not callable(cost):
            return cost
        amount: object = cost()
        # SECURITY: a negative cost would give credit, and such functions often read a number from the request.
        if not isinstance(amount, int) or amount < 0:
            raise ValueError(
                f"{cost!r} must return the cost of a request as a whole number, 0 or more, not {amount!r}."
            )
        return amount

    def scope_for(self, endpoint: str, method: str | None, route: str | None = None) -> str:
        """Return what is counted together: the endpoint, the scope, or both, and the method if each has its own count.

        :param endpoint: what identifies the request.
        :param route: the endpoint that matched, for a scope function; *endpoint* without it.
        """
        scope = self.scope(endpoint if route is None else route) if callable(self.scope) else self.scope
        if not scope:
            name = endpoint
        else:
            name = str(scope) if self.shared else f"{endpoint}:{scope}"
        if self.per_method and method:
            name = f"{name}:{'GET' if method == 'HEAD' else method.upper()}"
        return name


@dataclass(eq=True, unsafe_hash=True)
class Limit:
    """A limit for `Limiter(default_limits=[...])`, with options of its own.

    ::

        Limiter(get_remote_address, default_limits=[Limit("10/second", key_function=user_id), "100/second"])

    :raises ValueError: for a negative cost, or an unknown `on_store_failure`.
    """

    limit_provider: Provider
    """The limit as text, `10/second; 100/hour`, or a function without parameters that returns it for the current request."""

    key_function: Callable[[], str] | None = None
    """Returns for whom a request counts; None for the limiter's `key_func`."""

    scope: str | Callable[[str], str] | None = None
    """A text, or a function of the endpoint that returns it, for what is counted together."""

    cost: Callable[[], int] | int | None = None
    """What a request costs: a whole number, or a function that returns it; 1 by default, and 0 only looks."""

    shared: bool = False
    """Whether the scope alone says what is counted together, without the endpoint."""

    methods: Sequence[str] | None = None
    """The methods that are limited; None for all. HEAD goes with GET."""

    per_method: bool = False
    """Whether each method has its own count."""

    error_message: str | Callable[[], str] | None = None
    """The description of the error 429."""

    meta_limits: Iterable[Provider | MetaLimit] | None = None
    """Limits on how often this one may be broken."""

    exempt_when: Callable[[], bool] | None = None
    """Returns whether the current request does not count."""

    deduct_when: Callable[[Any], bool] | None = None
    """Called with the response; returns whether the request counts after all. Until then it is only looked at."""

    on_breach: Callable[[Any], Any] | None = None
    """Called with the `RequestLimit` that is broken; a response that it returns is sent."""

    override_defaults: bool | None = field(default=False, init=False)
    """Whether the default limits do not apply beside it."""

    limiter: Any = field(init=False, hash=False, compare=False, repr=False, kw_only=True)  # Any: of a module above
    """The limiter that it belongs to."""

    on_store_failure: str | None = field(default=None, kw_only=True)
    """`fail_open`, `fail_closed` or `local` for this limit; None for the app's. Quaff's own."""

    def __post_init__(self) -> None:
        if self.methods:
            self.methods = tuple(method.lower() for method in self.methods)
        if self.meta_limits is not None:
            self.meta_limits = tuple(self.meta_limits)
        if isinstance(self.cost, int) and self.cost < 0:
            raise ValueError(f"The cost of a request is 0 or more, not {self.cost}: a negative one would give credit.")
        if self.on_store_failure is not None and self.on_store_failure not in POLICIES:
            raise ValueError(f"on_store_failure is one of {', '.join(POLICIES)}, not {self.on_store_failure!r}.")

    @property
    def limit_by(self) -> Callable[[], str]:
        """The function that says for whom a request counts."""
        return self.key_function or self.limiter.key_func

    def bind(self: L, limiter: Any) -> L:
        """Say which limiter it belongs to, and return it."""
        self.limiter = limiter
        for meta in self.meta_limits or ():
            if isinstance(meta, MetaLimit):
                meta.bind(limiter)
        return self

    @property
    def is_static(self) -> bool:
        """Whether it names the same limits for every request."""
        metas = (meta.limit_provider if isinstance(meta, MetaLimit) else meta for meta in self.meta_limits or ())
        return not any(callable(provider) for provider in (self.limit_provider, *metas))

    def __iter__(self) -> Iterator[RuntimeLimit]:
        """Give the limits that are named, for the current request where a function names them.

        :raises ValueError: when the text names no limit.
        """
        provider = self.limit_provider
        metas: tuple[RuntimeLimit, ...] | None = None
        for item in parse_limits(provider() if callable(provider) else provider):
            if metas is None:
                metas = tuple(limit for meta in self.meta_limits or () for limit in self._own_meta(meta))
            yield RuntimeLimit(
                item,
                self.limit_by,
                scope=self.scope,
                per_method=self.per_method,
                methods=self.methods,
                error_message=self.error_message,
                exempt_when=self.exempt_when,
                override_defaults=self.override_defaults,
                deduct_when=self.deduct_when,
                on_breach=self.on_breach,
                cost=1 if self.cost is None else self.cost,
                shared=self.shared,
                meta_limits=metas,
                on_store_failure=self.on_store_failure,
            )

    def _own_meta(self, meta: Provider | MetaLimit) -> MetaLimit:
        own = copy.copy(meta) if isinstance(meta, MetaLimit) else MetaLimit(meta)
        own.limiter = self.limiter
        own.parent_limit = self
        return own


@dataclass(unsafe_hash=True, kw_only=True)
class ApplicationLimit(Limit):
    """A limit that all routes share, for `Limiter(application_limits=[...])`."""

    scope: str | Callable[[str], str] | None = field(default="global")
    shared: bool = field(init=False, default=True)


@dataclass(unsafe_hash=True, kw_only=True)
class MetaLimit(Limit):
    """A limit on how often limits may be broken: after that, every request is refused until the window is over.

    For `Limiter(meta_limits=[...])`, or for one limit: `limiter.limit("1/second", meta_limits=[MetaLimit("5/hour")])`.
    """

    scope: str | Callable[[str], str] | None = field(default="meta")
    shared: bool = field(init=False, default=True)
    meta_limits: Iterable[Provider | MetaLimit] | None = field(init=False, default=None)
    deduct_when: Callable[[Any], bool] | None = field(init=False, default=None)
    parent_limit: Limit | None = field(init=False, default=None, hash=False, compare=False, repr=False)
    """The limit whose breaking is limited; its `key_function` is used where this has none."""

    @property
    def limit_by(self) -> Callable[[], str]:
        """The function that says for whom a breach counts."""
        parent = self.parent_limit
        return self.key_function or (parent.key_function if parent is not None else None) or self.limiter.key_func
