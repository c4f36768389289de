"""Parts of ``ceralacca domain``."""
