"""Ports of a second process of a provider on this machine."""

import json

from gateway.lab.ports import FreePorts
from tests.operating.providers import Network

__all__ = ["elsewhere", "other_ports"]


def other_ports(net: Network) -> dict[str, int]:
    """One for each service of Alfa."""
    free = FreePorts({port for one in net.plan.providers for port in one.ports.values()})
    ports = {service: free.take() for service in net.alfa.ports}
    free.release()
    return ports


def elsewhere(ports: dict[str, int]) -> dict[str, str]:
    """The settings that let a process listen there."""
    return {
        f"CERALACCA_LISTEN__{service.upper()}": json.dumps([f"127.0.0.1:{port}"]) for service, port in ports.items()
    }
