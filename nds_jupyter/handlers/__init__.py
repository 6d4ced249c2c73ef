"""The REST routes: decode, one await, respond."""
