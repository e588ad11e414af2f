"""The detector's benchmark: readings a second through the whole handler, its peak memory and its cold import."""
