"""What clients do when something goes wrong, seen at a server that makes it go wrong."""
