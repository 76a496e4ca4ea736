"""Chat models behind one seam. The only room that imports a model client."""
