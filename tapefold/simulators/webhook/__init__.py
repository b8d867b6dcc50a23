"""A sender of signed webhooks, honest or not: Standard Webhooks v1 and v1a, and Stripe's scheme, over HTTP/1.1."""
