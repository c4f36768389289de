from tests.providers.fixtures import ca_file, net, root_file  # noqa: F401
