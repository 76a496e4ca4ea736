"""The pixels: headers, decoding, colour, orientation, resizing, perceptual hash."""
