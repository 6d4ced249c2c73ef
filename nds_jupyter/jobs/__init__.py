"""Values and rules of jobs, pure, shared by server and kernel."""
