"""What the reading routes tell: of containers, their logs and results, and of the server itself."""
