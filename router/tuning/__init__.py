"""What other thresholds would have done, and which ones meet a target; off the request path."""
