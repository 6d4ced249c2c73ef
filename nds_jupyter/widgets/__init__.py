"""Panels in a notebook; they come with the front end."""
