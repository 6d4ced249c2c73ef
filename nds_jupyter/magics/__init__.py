"""The magics: parse a line, call the client, return an object.

`extension` puts their names into a shell; everything else is imported when the first of them is
used. Each module of magics has a `Magics` class that is made with the shared `MagicsSession`, and
an entry in `registry`; options of `%%ndsjob` are added in `job_options`.
"""
