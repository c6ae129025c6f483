"""The one error that reading a scene raises."""


class InputError(ValueError):
    """Something is wrong with a file of the user: one line that names the file, the value and the remedy."""
