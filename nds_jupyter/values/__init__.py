"""Values of a notebook that travel into a script, and back.

`json_codec`, `tables`, `formats` and `launcher` are also shipped to the container. They therefore
need only the standard library of Python 3.8, and import each other relatively.
"""
