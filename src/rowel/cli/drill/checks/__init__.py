"""What is looked at, promise by promise."""
