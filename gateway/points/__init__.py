"""What the access, incoming and delivery points decide: facts in, decisions out. Pure."""
