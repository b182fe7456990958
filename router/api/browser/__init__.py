"""What all pages for browsers share: who may send them requests, the headers that seal them, and their files."""
