"""What certified mail says: wire words, facts, envelopes and receipts, to bytes and back. Pure."""
