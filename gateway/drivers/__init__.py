"""The world outside, without policy: clock, keys, the network."""
