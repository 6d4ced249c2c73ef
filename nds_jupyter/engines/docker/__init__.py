"""`Engine` over one Docker Engine."""
