"""What can go wrong on the way to a server and back, as a table: each row is one fault."""
