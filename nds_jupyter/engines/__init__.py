"""Where containers run: the `Engine` protocol and what implements it."""
