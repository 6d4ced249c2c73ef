"""The magics: parse a line, call the client, return an object.

`loading` puts their names into a shell; everything else is imported when the first of them is used.
Each module of magics has a `Magics` class that is made with the shared `Session`, and a place in
`vocabulary`; options of `%%ndsjob` are added in `job_options`.
"""
