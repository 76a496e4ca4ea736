"""The name under which released cards import the loader; it lives in ``curation.load``."""

from curation.load.buckets import Buckets as Buckets
from curation.load.features import Packed as Packed
from curation.load.features import pack as pack
from curation.load.features import pad as pad
from curation.load.loader import load as load
