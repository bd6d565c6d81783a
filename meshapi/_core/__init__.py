"""The engine: everything here is pure but transport, connections and streams."""
