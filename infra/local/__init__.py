"""The real engines as child processes, for trying out, developing and testing: see `stack`."""
