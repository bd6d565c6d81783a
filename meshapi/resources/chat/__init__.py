"""`POST /v1/chat/completions`: what is sent, what comes back, and the calls."""
