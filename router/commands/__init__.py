"""What each `tierwise` subcommand does; heavy imports stay inside, so that the command itself starts fast."""
