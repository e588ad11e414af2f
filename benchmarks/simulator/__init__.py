"""The simulator's benchmark: readings a second to a file and to a stream, beside generators as people write them."""
