"""The SMTP shells: submission by holders (587, 465) and the relay port between providers (25)."""
