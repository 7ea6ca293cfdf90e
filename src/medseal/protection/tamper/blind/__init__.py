"""A blind opinion of whether and where an image was forged, without any record; never a proof."""
