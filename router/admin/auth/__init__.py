"""Who an operator is: secrets, sessions, signing in, and what was denied."""
