"""Admission of jobs: the request, and the server's policy on it. Pure."""
