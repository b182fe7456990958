"""What other thresholds would have done, and which ones meet a target: figures from past traffic, off the request path."""
