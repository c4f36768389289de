"""The gateway: points that decide, storage that keeps, flows that join them, shells that carry bytes."""
