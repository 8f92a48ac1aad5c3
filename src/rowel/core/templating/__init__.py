"""How templates are rendered over untrusted data without a way to hang, to bloat or to get out.

Jinja2 parses and compiles; the rest is ours: attributes come from plain data and a list of methods (`environment`),
every operation pays for its work (`meter`, `instrument`), and filters that could grow without bound are replaced
(`filters`).
"""
