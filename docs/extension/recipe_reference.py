"""The directives ``recipe`` and ``stages``: what the code declares of a product, as parts of a page.

    ```{recipe} refine
    ```

documents every recipe key of the product of that name, ``stages`` its stages and the reasons for which they reject.
Both are made from the declarations that ``--help`` is made from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive

from curation.core.recipes import Key, documented
from curation.products import PRODUCTS
from curation.products.product import Product
from flows.request import DescribedStage, described_stages


class _OfAProduct(Directive):
    required_arguments: ClassVar[int] = 1
    has_content: ClassVar[bool] = False

    @property
    def product(self) -> Product[Any]:
        """The one that is named. Raises ``self.error`` for an unknown name."""
        found = next((p for p in PRODUCTS if p.name == self.arguments[0]), None)
        if found is None:
            raise self.error(f"no product {self.arguments[0]!r}; there are {', '.join(p.name for p in PRODUCTS)}")
        return found


class RecipeReference(_OfAProduct):
    """Every table of a recipe is a section; every key can be linked to as ``#PRODUCT-table-key``."""

    def run(self) -> list[nodes.Node]:
        product = self.product
        return [_table(product.name, *table) for table in documented(product.recipe)]


class StageReference(_OfAProduct):
    def run(self) -> list[nodes.Node]:
        product = self.product
        return [_stage(product.name, stage) for stage in described_stages(product.steps(product.recipe(), ()))]


def _section(product: str, name: str, title: str, about: str) -> nodes.section:
    identifier = nodes.make_id(f"{product}-{name}")
    section = nodes.section("", nodes.title("", "", nodes.literal("", title)), ids=[identifier], names=[identifier])
    section += nodes.paragraph("", "", *_plain(about))
    return section


def _table(product: str, name: str, about: str, keys: Iterable[Key]) -> nodes.section:
    section = _section(product, name, f"[{name}]", about)
    section += nodes.definition_list("", *(_key(product, key) for key in keys))
    return section


def _key(product: str, key: Key) -> nodes.definition_list_item:
    term = nodes.term("", "", nodes.literal("", key.name), ids=[nodes.make_id(f"{product}-{key.name}")])
    if key.default:
        term += [nodes.Text(" = "), nodes.literal("", key.default)]
    return _item(term, " ".join(filter(None, (key.about, key.limits, "(free)" if key.free else ""))))


def _stage(product: str, stage: DescribedStage) -> nodes.section:
    section = _section(product, f"stage-{stage.label}", stage.label, stage.about)
    reasons = [_item(nodes.term("", "", nodes.literal("", name)), said) for name, said in stage.reasons.items()]
    if reasons:
        section += nodes.definition_list("", *reasons)
    return section


def _item(term: nodes.term, about: str) -> nodes.definition_list_item:
    return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *_plain(about))))


def _plain(text: str) -> list[nodes.Node]:
    """Words as they are, with what stands between two backquotes as code."""
    parts = text.replace("``", "`").split("`")
    return [nodes.literal("", part) if n % 2 else nodes.Text(part) for n, part in enumerate(parts) if part]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("recipe", RecipeReference)
    app.add_directive("stages", StageReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
