from hypothesis import settings

# Shared machines stall for longer than any deadline; the same examples every run.
settings.register_profile("artalk", deadline=None, derandomize=True, max_examples=40, print_blob=False)
settings.load_profile("artalk")
