"""What somebody got wrong, said so that it can be mended: where it stands, what is wanted, what was perhaps meant."""
