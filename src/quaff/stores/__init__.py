"""What batteries keep outside of one request: memory shared by the workers of a machine, and guarded stores elsewhere."""
