"""How fast the parts are, each beside what people use today for the same work and beside what cannot be beaten."""
