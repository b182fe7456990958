"""What an operator follows while requests are served: lines, kinds of failures, spans. No prompt, no secret."""
