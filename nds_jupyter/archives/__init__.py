"""Tar and zip archives as streams."""
