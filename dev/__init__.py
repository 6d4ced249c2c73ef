"""What a checkout needs on a machine: an engine, images, the demo. Not part of the package."""
