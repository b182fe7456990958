"""What the service learns about its own answers: labels, duels and refits; it changes no answer."""
