"""Language models behind one seam: ``ChatModel.complete(requests) -> replies``."""

import os

# Threads that spin while they wait make a model six times slower as soon as cores are shared, as they are
# between actors. It must be set before torch is first imported; whoever set it knows better.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
