"""Typed settings of one provider: a TOML file and the environment in, ``Settings`` or every fault out."""
