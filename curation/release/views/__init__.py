"""A root's tables as DuckDB views, and the one decision about every row's fate, in the SQL beside this file."""
