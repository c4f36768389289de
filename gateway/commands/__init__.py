"""The commands of ``ceralacca``, one module each, imported only when asked for."""
