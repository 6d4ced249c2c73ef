"""Proxy to another server that runs the jobs of this one."""
