"""The products of the configuration, the restore points that they have, and the one that an id means."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.config.load import Loaded
from orchestrator.config.plugins import is_written_wrong
from orchestrator.plugged import Plugged
from orchestrator.views import points
from orchestrator.views.points import Owned
from plugins.errors import GiveUp, RetryLater
from plugins.manager import PRODUCTS
from plugins.values import RestorePoint
from state.clock import of_machine
from state.store import Store

LISTS = "list_backups"


@contextlib.contextmanager
def plugged(loaded: Loaded, store: Store) -> Iterator[Plugged]:
    """The plugins of the configuration, in this process; closed again. What is wrong with one is told by who asks for it, not logged."""
    made = Plugged(loaded, store, of_machine, heard=False)
    try:
        yield made
    finally:
        made.close()


def chosen(loaded: Loaded, only: str | None) -> list[str]:
    """The names of the configured products, or the one. Raises WrongInput."""
    names = list(loaded.settings.products)
    if not names:
        raise WrongInput(f"{loaded.path} has no products: [products.NAME] says where backups are")
    if only is not None and only not in names:
        raise WrongInput(f"{loaded.path} has no product of that name; it has {', '.join(names)}", option="product", value=only)
    return [only] if only else names


@dataclass(frozen=True, slots=True)
class Seen:
    """What products said of their restore points, and why some did not.

    *found*: the points, oldest first. *silent*: products that keep points and list none (`command` without `list`, `webhook`).
    *wrong*: what is to be mended in the configuration, *away*: who cannot be asked now; a line each.
    """

    found: list[Owned]
    silent: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    away: tuple[str, ...] = ()

    @property
    def unseen(self) -> tuple[str, ...]:
        """Why there may be more than what was found."""
        return (*self.wrong, *self.away)

    def error(self, *more: str) -> Exception:
        """What is raised of what is unseen, with *more* lines: a mistake in the configuration is wrong input."""
        kind = WrongInput if self.wrong else NotSo
        return kind("\n".join([*self.unseen, *more]))


def every(made: Plugged, names: Sequence[str]) -> Seen:
    """What these products have; one that lists nothing is not asked."""
    there = {one.name: one for one in made.plugins.instances if one.section == PRODUCTS}
    found: list[Owned] = []
    wrong, away = [], []
    for name in names:
        if is_written_wrong(there[name]):
            wrong += made.complaints_about(there[name])
        elif there[name].problem:
            away += made.complaints_about(there[name])
        elif LISTS in there[name].hooks:
            try:
                found += [(name, point) for point in made.calls.points(name)]
            except (GiveUp, RetryLater) as error:
                away.append(f"product {name!r} cannot be asked for its restore points: {error}")
    silent = tuple(name for name in names if not there[name].problem and LISTS not in there[name].hooks)
    return Seen(sorted(found, key=lambda one: (one[1].taken_at, one[1].id)), silent, tuple(wrong), tuple(away))


def of_silent(names: Sequence[str]) -> str:
    """What is said of products that list nothing; "" where there is none."""
    return f"what is kept by {' and '.join(map(repr, names))} is not listed: such a product is asked by its own means" if names else ""


def named(made: Plugged, names: Sequence[str], written: str) -> tuple[str, RestorePoint]:
    """The product and the restore point that the id means; an id that names its product is looked for in that one alone.

    Raises WrongInput, NotSo.
    """
    product, slash, rest = written.partition("/")
    owned = bool(slash) and product in names
    if not (rest if owned else written).strip():
        raise WrongInput(f"ID {written!r}: it is empty: write the beginning of one, as `vfo backup list` has it")
    seen = every(made, [product] if owned else names)
    fits = points.chosen(seen.found, written)
    if len(fits) == 1 and (not seen.unseen or written in _in_full(*fits[0], written)):
        return fits[0]
    if seen.unseen:
        raise seen.error(f"ID {written!r}: it may be one of theirs: {_instead(fits)}")
    if fits:
        said = ", ".join(f"{product}/{point.id} ({point.vm_name}, {point.taken_at:%Y-%m-%d %H:%M} UTC)" for product, point in fits[-8:])
        raise WrongInput(f"ID {written!r}: {len(fits)} restore points fit: {said}: write more of it")
    raise WrongInput(f"ID {written!r}: there is no such restore point{f' in product {product!r}' if owned else ''}{_there(seen)}")


def exactly(made: Plugged, product: str, written: str) -> Owned | None:
    """The restore point of the product with just this id; None when it has none. Raises WrongInput, NotSo: it cannot be asked."""
    seen = every(made, [product])
    found = next((owned for owned in seen.found if owned[1].id == written), None)
    if found is None and seen.unseen:
        raise seen.error()
    return found


def _there(seen: Seen) -> str:
    """What there is instead."""
    last = ", ".join(f"{point.id} ({point.vm_name})" for _, point in seen.found[-8:]) or "none"
    silent = of_silent(seen.silent)
    return f"; the latest are {last}: `vfo backup list` has all{f'; {silent}' if silent else ''}"


def _in_full(product: str, point: RestorePoint, written: str) -> tuple[str, ...]:
    """What means this point whatever the other products have: its whole id, or one that names its product."""
    return (point.id, written if written.startswith(f"{product}/") else point.id)


def _instead(fits: Sequence[Owned]) -> str:
    """What to do while a product cannot be asked."""
    if len(fits) != 1:
        return "mend that, or name another product with --product"
    return f"write {fits[0][0]}/{fits[0][1].id} for the one that is seen"
