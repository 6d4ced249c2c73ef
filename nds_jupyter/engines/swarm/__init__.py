"""`Engine` over a Docker Swarm."""
