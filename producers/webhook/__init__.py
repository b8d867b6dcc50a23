"""Signed webhooks: verified on their raw bytes, told apart from their repeats, and answered once the log has them."""
