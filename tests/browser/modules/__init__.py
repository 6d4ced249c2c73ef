"""The front end's modules in a real browser, alone, with more than an engine would give them."""
