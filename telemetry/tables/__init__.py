"""The tables of the lake: names, columns, types and descriptions."""
