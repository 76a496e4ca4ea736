"""The windows of an image that are hashed to find its crops. Light, so that declaring the stage compiles nothing."""

WINDOWS = tuple(
    (share, across, down)
    for share, steps in ((0.08, (0.0, 0.5, 1.0)), (0.15, (0.0, 1 / 3, 0.5, 2 / 3, 1.0)))
    for down in steps
    for across in steps
)
"""Of each window: the share of both sides that it leaves out, and how far right and down it lies (0 to 1)."""
