"""The data plane's HTTP: thin edges around the exchange."""
