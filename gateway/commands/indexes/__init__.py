"""The commands under ``ceralacca index`` that do one larger thing each."""
