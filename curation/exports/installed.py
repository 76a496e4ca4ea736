"""Which forms there are: those of this package, and those of others by entry points ``lapidary.exports``."""

from __future__ import annotations

import importlib.metadata

from curation.core.errors import UsageError
from curation.core.store import one_line
from curation.exports.buckets import BucketTars
from curation.exports.datasets import Datasets
from curation.exports.form import FURTHER, Form
from curation.exports.kohya import Kohya
from curation.exports.lance import Lance
from curation.exports.mds import Mds
from curation.exports.simpletuner import SimpleTuner
from curation.exports.webshart import Webshart

GROUP = "lapidary.exports"
OWN: tuple[Form, ...] = (Kohya(), SimpleTuner(), Datasets(), Webshart(), BucketTars(), Mds(), Lance())


def form_of(name: str) -> Form:
    """The form of a name. Raises ``UsageError`` naming those there are, or what is wrong with another package's."""
    own = {form.name: form for form in OWN}
    if name in own:
        return own[name]
    others = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    if name not in others:
        raise UsageError(f"there is no form {name!r}; expected one of {', '.join([*own, *sorted(others)])}")
    try:
        made = others[name].load()
        form: Form = made() if isinstance(made, type) else made
        fit = form.name == name and isinstance(form.version, int) and frozenset(form.uses) <= FURTHER
        fit = fit and callable(form.shard) and callable(form.finish)
    except Exception as error:  # another package's code may raise anything
        raise UsageError(f"the form {name!r} ({others[name].value}) cannot be used: {one_line(error)}") from error
    if not fit:
        raise UsageError(f"the form {name!r} ({others[name].value}) is not as curation.exports.form asks for")
    return form
