"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("whatever the machine", deadline=None)  # timings belong in bench/
settings.load_profile("whatever the machine")
