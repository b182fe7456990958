"""What is known of the models that are called: breakers, speeds, and how many retries they may still cost."""
