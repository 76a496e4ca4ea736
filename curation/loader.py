"""The name under which released cards import the loader; it lives in ``curation.load``."""

from curation.load.loader import load as load
