"""How each kind of object is drawn. Every drawing fits the unit square and is mostly of its main colour."""

from __future__ import annotations

from collections.abc import Mapping

from curation.demo.household import HOUSEHOLD
from curation.demo.nature import NATURE
from curation.demo.outings import OUTINGS
from curation.demo.shapes import Drawing

DRAWINGS: Mapping[str, Drawing] = {**HOUSEHOLD, **NATURE, **OUTINGS}
