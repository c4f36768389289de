"""What mail programs ask for to set an account up from an address and a password."""
