"""Pages for people: what a root holds, in one folder that any browser opens, and the same over all rows by a server."""
