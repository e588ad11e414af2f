"""Tables, bars and messages of the commands."""
