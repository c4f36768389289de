"""One provider, put together and run."""
