from hypothesis import settings

# A busy machine must not fail a test: time is measured by benchmarks/encryption.py.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
