"""The painter: a small diffusion transformer that reads a text and paints a picture.

A picture of 24 x 48 pixels is 32 patches. Patches attend to each other and to the text's tokens in one attention; a
text encoder of two layers is trained along. The network predicts the clean picture, which for large patches is easier
than noise or velocity ("Back to Basics: Let Denoising Generative Models Denoise", arXiv 2511.13720).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from curation.demo.painting.reading import HEIGHT, PAD, TOKENS, WIDTH, Texts
from curation.load.conditioning import scaled as weighted

VOCABULARY = 1536
CANVAS = 4
"""Channels of a picture that is to be extended: its colours, and the mask."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a painter. ``states`` is the width of a language model's states that it reads by a cross adapter; 0 for
    a painter without one. One that ``extends`` pictures also sees the part that is there."""

    width: int = 128
    depth: int = 5
    heads: int = 4
    text_depth: int = 2
    patch: int = 6
    tokens: int = TOKENS
    states: int = 0
    extends: bool = False

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return HEIGHT // self.patch, WIDTH // self.patch


class TextEncoder(nn.Module):
    """Tokens (n, length) to states (n, length, width)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, shape.width)
        self.places = nn.Parameter(torch.zeros(shape.tokens, shape.width))
        nn.init.normal_(self.words.weight, std=0.5)
        nn.init.normal_(self.places, std=0.1)
        self.layers = nn.ModuleList(_TextLayer(shape) for _ in range(shape.text_depth))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states = self.words(tokens) + self.places[: tokens.shape[1]]
        mask = (tokens != PAD)[:, None, None, :]
        for layer in self.layers:
            states = layer(states, mask)
        found: torch.Tensor = self.norm(states)
        return found


class _TextLayer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        self.after = nn.LayerNorm(shape.width)
        self.up = nn.Linear(shape.width, 2 * shape.width)
        self.down = nn.Linear(2 * shape.width, shape.width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        q, k, v = (_heads(x, self.heads) for x in self.qkv(self.norm(states)).chunk(3, dim=-1))
        states = states + self.out(_joined(functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)))
        found: torch.Tensor = states + self.down(functional.gelu(self.up(self.after(states))))
        return found


class CrossAdapter(nn.Module):
    """LLM4GEN's cross-adapter module (arXiv 2407.00737, its CAM): a language model's states ask, the text encoder's
    answer, in eight heads. What comes of it stands behind the text encoder's own states."""

    def __init__(self, shape: Shape, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(shape.states)
        self.query = nn.Linear(shape.states, shape.width, bias=False)
        self.of_text = nn.Linear(shape.width, 2 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, states: torch.Tensor, text: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """``states`` (n, most, its width) and ``text`` (n, length, width) with the mask ``there``: (n, most, width)."""
        query = _heads(self.query(self.norm(states)), self.heads)
        key, value = (_heads(x, self.heads) for x in self.of_text(text).chunk(2, dim=-1))
        mask = there[:, None, None, :]
        found: torch.Tensor = self.out(
            _joined(functional.scaled_dot_product_attention(query, key, value, attn_mask=mask))
        )
        return found


class _Block(nn.Module):
    """Attention over patches and text, then a feed-forward part; both scaled and shifted by the time."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.grid = shape.heads, shape.grid
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.of_text = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)
        self.turn = nn.Parameter(torch.zeros(6, width))  # what this block adds to the shared scales and shifts
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(
        self, patches: torch.Tensor, text: torch.Tensor, mask: torch.Tensor, scales: torch.Tensor
    ) -> torch.Tensor:
        a, b, c, d, e, f = (scales + self.turn).unsqueeze(2).unbind(1)
        width = (patches.shape[-1],)
        q, k, v = (
            _heads(x, self.heads)
            for x in self.qkv(functional.layer_norm(patches, width) * (1 + a) + b).chunk(3, dim=-1)
        )
        kt, vt = (_heads(x, self.heads) for x in self.of_text(text).chunk(2, dim=-1))
        keys, values = torch.cat([k, kt], dim=2), torch.cat([v, vt], dim=2)
        seen = functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        patches = patches + (1 + c) * self.out(_joined(seen))
        inner = _neighbours(functional.layer_norm(patches, width) * (1 + d) + e, self.grid)
        found: torch.Tensor = patches + (1 + f) * self.down(functional.gelu(self.up(inner)))
        return found


class Painter(nn.Module):
    """Predicts the clean picture from a noisy one, its time and a text."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        width, values = shape.width, 3 * shape.patch**2
        self.text = TextEncoder(shape)
        self.inlet = nn.Linear((3 + CANVAS * shape.extends) * shape.patch**2, width)
        self.places = nn.Parameter(_sines(shape.grid, width))
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.scales = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.depth))
        self.outlet = nn.Linear(width, values)
        nn.init.zeros_(self.scales.weight)
        nn.init.zeros_(self.scales.bias)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)
        self.adapter = CrossAdapter(shape) if shape.states else None

    def read(self, texts: Texts) -> tuple[torch.Tensor, torch.Tensor]:
        """The texts' states (n, length, width), and which of them are tokens: bool (n, length).

        Raises ``ValueError`` where a cross adapter finds no states of a language model.
        """
        text, there = self.text(texts.tokens), texts.tokens != PAD
        if texts.factors is not None:
            text = weighted(text, texts.factors.tolist())
        if self.adapter is None:
            return text, there
        if texts.states is None or texts.known is None:
            raise ValueError("these texts have no states of a language model; read them with states=True")
        found = self.adapter(texts.states, text, there)
        return torch.cat([text, found], dim=1), torch.cat([there, texts.known], dim=1)

    def forward(
        self,
        noisy: torch.Tensor,
        time: torch.Tensor,
        text: torch.Tensor,
        there: torch.Tensor,
        canvas: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The clean picture. ``noisy`` (n, 3, HEIGHT, WIDTH) is in about -1 to 1, ``time`` (n,) goes from 0 (noise) to
        1 (clean), ``text`` (n, length, width) has the mask ``there`` (n, length). ``canvas`` (n, CANVAS, HEIGHT, WIDTH)
        is wanted by a painter that extends: the picture with nothing where it is to be painted, and a mask, 1 there."""
        rows, columns = self.shape.grid
        seen = noisy if canvas is None else torch.cat([noisy, canvas], dim=1)
        patches = self.inlet(patched(seen, self.shape.patch)) + self.places
        whole = (text * there.unsqueeze(2)).sum(dim=1) / there.sum(dim=1, keepdim=True)
        scales = self.scales(functional.silu(self.time(_waves(time)) + whole)).view(len(noisy), 6, -1)
        mask = torch.cat([there.new_ones(len(there), rows * columns), there], dim=1)[:, None, None, :]
        for block in self.blocks:
            patches = block(patches, text, mask, scales)
        values = self.outlet(functional.layer_norm(patches, (self.shape.width,)))
        return unpatched(values, self.shape)


def patched(pixels: torch.Tensor, patch: int) -> torch.Tensor:
    """(n, 3, height, width) as (n, patches, 3 * patch * patch), row by row."""
    n, channels, height, width = pixels.shape
    cut = pixels.view(n, channels, height // patch, patch, width // patch, patch).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(n, -1, channels * patch * patch)


def unpatched(values: torch.Tensor, shape: Shape) -> torch.Tensor:
    """The inverse of ``patched``."""
    rows, columns = shape.grid
    cut = values.view(len(values), rows, columns, 3, shape.patch, shape.patch).permute(0, 3, 1, 4, 2, 5)
    return cut.reshape(len(values), 3, HEIGHT, WIDTH)


def _heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    n, length, width = states.shape
    return states.view(n, length, heads, width // heads).transpose(1, 2)


def _joined(states: torch.Tensor) -> torch.Tensor:
    n, heads, length, width = states.shape
    return states.transpose(1, 2).reshape(n, length, heads * width)


def _neighbours(patches: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """A sixteenth of the width comes from each of a patch's four neighbours: patches agree sooner on what goes on over
    their edges, at no cost."""
    n, count, width = patches.shape
    part = width // 16
    square = patches.view(n, *grid, width)
    moved = [
        functional.pad(square[:, 1:, :, :part], (0, 0, 0, 0, 0, 1)),
        functional.pad(square[:, :-1, :, part : 2 * part], (0, 0, 0, 0, 1, 0)),
        functional.pad(square[:, :, 1:, 2 * part : 3 * part], (0, 0, 0, 1)),
        functional.pad(square[:, :, :-1, 3 * part : 4 * part], (0, 0, 1, 0)),
    ]
    return torch.cat([*moved, square[..., 4 * part :]], dim=3).view(n, count, width)


def _waves(time: torch.Tensor) -> torch.Tensor:
    """(n,) as (n, 64) sines and cosines."""
    angles = time.unsqueeze(1) * torch.logspace(0, 2.5, 32, device=time.device)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _sines(grid: tuple[int, int], width: int) -> torch.Tensor:
    """(rows * columns, width): sines and cosines of row and column."""
    angles = torch.arange(max(grid)).unsqueeze(1) * torch.logspace(0, -1.5, width // 4)
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = line[: grid[0], None].expand(-1, grid[1], -1)
    columns = line[None, : grid[1]].expand(grid[0], -1, -1)
    return 0.5 * torch.cat([rows, columns], dim=2).reshape(-1, width)
