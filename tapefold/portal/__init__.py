"""The health page: what runs, how far it is, and what the audits found last."""
