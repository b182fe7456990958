"""Background work: answers worth minutes, with a quote, run by steps that survive the process. Knows no HTTP."""
