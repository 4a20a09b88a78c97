"""Where bindings come from, which of them are good, and which drains there have to be for them."""
