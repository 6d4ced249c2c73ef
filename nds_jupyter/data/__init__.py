"""The data root: storage, listing, staging of inputs and delivery of results."""
