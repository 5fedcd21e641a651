"""What is good for some set-ups only."""
