"""What claims about speed rest on: ratios against a named rival, measured in one run."""
