"""The name under which the README's training code imports conditioning; it lives in ``curation.load``."""

from curation.load.conditioning import *  # noqa: F403  # the module's public names, unchanged
