"""What a type checker must find in the public names."""
