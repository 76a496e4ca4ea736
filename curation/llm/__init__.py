"""Language models behind one seam: ``ChatModel.complete(requests) -> replies``."""
